"""A second kind of place: pictures in memory, under `mem://`. All that a new kind of place needs is in this file."""

from __future__ import annotations

import errno
import os
import zlib
from typing import TYPE_CHECKING

from archive.failures import FailureKind, ImageError
from archive.location import lies_below, name_below, scheme_of
from archive.places.contract import Contents, Version
from archive.sniff import has_image_suffix
from storage.records import ImageRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archive.blocking import Heartbeat
    from archive.places.contract import Listing


class Memory:
    """Images by their location, as `mem://holiday/1.jpg`."""

    def __init__(self, images: dict[str, bytes]) -> None:
        self.images = images
        self.opened: list[str] = []

    def knows(self, location: str) -> bool:
        return scheme_of(location) == "mem"

    def absolute(self, typed: str) -> str:
        return typed

    def find_root(self, typed: str) -> str:
        root = typed.rstrip("/")
        if self.is_single_image(root) or any(lies_below(location, root) for location in self.images):
            return root
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def is_single_image(self, root: str) -> bool:
        return root in self.images

    def list_images(self, root: str, listing: Listing) -> Iterator[ImageRef]:
        for location, data in sorted(self.images.items()):
            name = name_below(location, root)
            if listing.is_stopped():
                return
            if location != root and not lies_below(location, root):
                continue
            if listing.names.excludes(name) or not listing.names.includes(name):
                continue
            if not has_image_suffix(name):
                listing.counts.ignored += 1
                continue
            yield ImageRef(location, *_version(data))

    def why_gone(self, root: str) -> str | None:
        return None if any(lies_below(location, root) for location in self.images) else "nothing is left of it"

    def read(
        self,
        location: str,
        roots: Sequence[str],
        max_bytes: int,
        heartbeat: Heartbeat,
    ) -> Contents:
        self.opened.append(location)
        data = self.images.get(location)
        if data is None:
            raise ImageError(FailureKind.VANISHED, "forgotten")
        if len(data) > max_bytes:
            raise ImageError(FailureKind.TOO_LARGE, f"{len(data)} bytes", version=_version(data))
        heartbeat()
        return Contents(data, _version(data))

    def version_of(self, location: str) -> Version | None:
        data = self.images.get(location)
        return None if data is None else _version(data)


def _version(data: bytes) -> Version:
    return Version(len(data), zlib.crc32(data))
