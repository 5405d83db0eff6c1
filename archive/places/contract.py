"""What every kind of place where images lie must do: list a root's images, and read one of them.

A kind of place is one file beside this one, with a class that is a `Place`, and its entry in `archive.places.PLACES`.
Scanning and reading call it through this contract and know nothing else of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archive.blocking import Heartbeat
    from archive.counts import ScanCounts
    from archive.globs import NameFilter
    from storage.records import ImageRef


class Version(NamedTuple):
    """What tells a changed image from the same one; as `ImageRef` has it."""

    size: int  #: bytes
    mtime_ns: int  #: nanoseconds since the epoch; where a place keeps no times, 63 bits that change with the content


class Contents(NamedTuple):
    """An image's bytes, and the version that they are."""

    data: bytes
    version: Version


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Which images of a root are asked for, and where to count what is skipped."""

    names: NameFilter
    counts: ScanCounts
    no_skip: bool = False  #: list also what lies in folders that programs manage
    is_stopped: Callable[[], bool] = lambda: False  #: asked before each entry


class Place(Protocol):
    """A kind of place where images lie.

    A location is text, as `archive.location` says. What asks a disk or a network may block: callers bound all of these
    calls but `list_images`, which bounds its own (`archive.blocking`).
    """

    def knows(self, location: str) -> bool:
        """Tell by its text alone whether a location, or what a person typed for one, is of this kind."""
        ...

    def absolute(self, typed: str) -> str:
        """Return what a person typed as a location, by its text alone."""
        ...

    def find_root(self, typed: str) -> str:
        """Return the root that a person typed as all locations in it will begin: absolute, links resolved.

        Raises:
            OSError: it is not there or cannot be read.

        """
        ...

    def is_single_image(self, root: str) -> bool:
        """Tell whether a root is one image; such a root is listed whatever it holds, and fails as an image does."""
        ...

    def list_images(self, root: str, listing: Listing) -> Iterator[ImageRef]:
        """Yield the images of a root, as a stream: an archive of millions is never held in memory.

        What cannot be read, or does not answer for `SILENT_S`, is skipped and counted.

        Raises:
            ArchiveError: the root itself is gone, cannot be read, or does not answer.

        """
        ...

    def why_gone(self, root: str) -> str | None:
        """Return, in a few words, why no image can be read from a root that held some; None if it looks well."""
        ...

    def read(self, location: str, roots: Sequence[str], max_bytes: int, heartbeat: Heartbeat) -> Contents:
        """Return the bytes of one version of an image.

        Args:
            location: lies in one of the roots by its text; where links may lead elsewhere, this has to be checked of
                what was opened.
            roots: of the archive; nothing outside of them may be read.
            max_bytes: what the image may have; a larger one is refused before it is read.
            heartbeat: called whenever some bytes have come.

        Raises:
            ImageError: gone, unreadable, no image's file, outside of the archive, too large. One that `is_transient`
                is tried again.
            MemoryError: too large for this process.

        """
        ...

    def version_of(self, location: str) -> Version | None:
        """Return the version that is there now; None where there is none, or it cannot be told."""
        ...
