"""One local root, walked folder by folder, by a thread that is abandoned where the disk never answers it."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NamedTuple

from archive.blocking import Call, CallThreads
from archive.places.local_file import version_from
from archive.places.stretch import Position, Rules, Stretch
from common.errors import ArchiveError
from common.settings import SILENT_S
from storage.records import ImageRef, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.blocking import Heartbeat
    from archive.places.contract import Listing

logger = logging.getLogger(__name__)

#: Entries of the first stretch, which is waited for, and of each further one, which is walked while the images of the
#: one before are stored.
FIRST_ENTRIES = 64
STRETCH_ENTRIES = 4096


class _Ahead(NamedTuple):
    """A stretch that is being walked."""

    stretch: Stretch
    call: Call[Position | None]


class Walk:
    """A walk through one root."""

    def __init__(self, root: str, listing: Listing) -> None:
        self._root = root
        self._rules = Rules(root=root, names=listing.names, no_skip=listing.no_skip)
        self._counts = listing.counts
        self._is_stopped = listing.is_stopped
        self._threads = CallThreads(1, "scan")
        self._silent: set[str] = set()  # as many as threads are abandoned, at the most

    def only_file(self) -> ImageRef | None:
        """Return the root, if it is a file."""

        def look(_heartbeat: Heartbeat) -> ImageRef | None:
            if not os.path.isfile(self._root):
                return None
            return ImageRef(self._root, *version_from(os.stat(self._root)))

        try:
            return self._threads.call(look, SILENT_S)
        except OSError as error:
            raise self._gone(error) from error

    def images(self) -> Iterator[ImageRef]:
        """Yield the images below the root, which is a folder. The next stretch is walked while these are taken."""
        ahead: _Ahead | None = self._begin(Position(folders=(self._root,)), FIRST_ENTRIES)
        while ahead:
            if self._is_stopped():
                return
            stretch, position = self._finish(ahead)
            ahead = self._begin(position, STRETCH_ENTRIES) if position else None
            self._counts.add(stretch.counts)
            for path, error in stretch.unreadable:
                self._note_unreadable(path, error)
            for image in stretch.images:
                if self._is_stopped():
                    return
                yield image

    def _begin(self, position: Position, most: int) -> _Ahead:
        stretch = Stretch(rules=self._rules, begin=position, most=most, silent=frozenset(self._silent))
        ahead = _Ahead(stretch, Call(stretch.walk))
        self._threads.submit(ahead.call)
        return ahead

    def _finish(self, ahead: _Ahead) -> tuple[Stretch, Position | None]:
        """Wait for a stretch, and return it with the position after it.

        Where something in it does not answer, that is counted, and the stretch is walked again without it.

        Raises:
            ArchiveError: the root is gone, cannot be read, or does not answer.

        """
        while True:
            stretch, call = ahead
            try:
                return stretch, call.result(SILENT_S)
            except OSError as error:
                silent = stretch.at
                self._threads.abandon(call)
                if silent is None or silent == self._root:
                    raise self._gone(error) from error
                self._note_unreadable(silent, error)
            self._silent.add(silent)
            ahead = self._begin(stretch.begin, stretch.most)

    def _note_unreadable(self, path: str, error: OSError) -> None:
        """Count and log what cannot be read.

        Raises:
            ArchiveError: it is the root that does not answer.

        """
        logger.warning("%s cannot be read: %s", path, error.strerror)
        self._counts.unreadable += 1
        if isinstance(error, TimeoutError):
            try:
                self._threads.call(lambda _heartbeat: os.scandir(self._root).close(), SILENT_S)
            except OSError as root_error:
                raise self._gone(root_error) from root_error

    def _gone(self, error: OSError) -> ArchiveError:
        return ArchiveError(f"{shown(self._root)} cannot be read: {error.strerror}. Is it still mounted?")
