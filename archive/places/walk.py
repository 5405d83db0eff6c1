"""One local root, walked folder by folder, by a thread that is abandoned where the disk never answers it."""

from __future__ import annotations

import logging
import os
from enum import Enum, auto
from functools import partial
from stat import S_ISREG
from typing import TYPE_CHECKING

from archive.blocking import CallThreads
from archive.location import lies_below, name_below
from archive.places.local_file import read_head, version_from
from archive.skipped_folders import CACHE_TAG_NAME, has_cache_tag, is_skipped_by_content, is_skipped_by_name
from archive.sniff import HEAD_BYTES, has_image_suffix, is_image_head
from common.errors import ArchiveError
from common.settings import SILENT_S
from storage.records import ImageRef, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archive.blocking import Heartbeat
    from archive.places.contract import Listing

logger = logging.getLogger(__name__)

#: Entries of a folder that are looked at in one go. On a share of 20 ms an entry, the first image is there after 1.3 s.
_LOOKED_AT_ONCE = 64


class _Skipped(Enum):
    """Why an entry of a folder is not listed."""

    UNWANTED = auto()
    IGNORED = auto()
    LINK = auto()
    UNREADABLE = auto()
    SILENT = auto()


#: An entry of a folder, and what it is: an image, a folder to walk (None), or skipped.
_Seen = tuple["os.DirEntry[str]", ImageRef | _Skipped | None]


class Walk:
    """A walk through one root."""

    def __init__(self, root: str, listing: Listing) -> None:
        self._root = root
        self._names = listing.names
        self._counts = listing.counts
        self._no_skip = listing.no_skip
        self._is_stopped = listing.is_stopped
        self._threads = CallThreads(1, "scan")

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
        """Yield the images below the root, which is a folder."""
        folders = [self._root]
        while folders:
            folder = folders.pop()
            inner = []
            entries = self._entries(folder)
            siblings = {entry.name.lower() for entry in entries}
            if folder != self._root and self._skips_by_content(folder, siblings):
                continue
            for start in range(0, len(entries), _LOOKED_AT_ONCE):
                for entry, what in self._looked_at(entries[start : start + _LOOKED_AT_ONCE]):
                    if self._is_stopped():
                        return
                    if isinstance(what, ImageRef):
                        yield what
                    elif what is None and not self._skips_by_name(entry.name, folder, siblings):
                        inner.append(entry.path)
            folders += reversed(inner)

    def _skips_by_content(self, folder: str, content: set[str]) -> bool:
        """Tell, and count, whether a folder is skipped for what lies in it."""
        if self._no_skip:
            return False
        parent, name = os.path.split(folder)
        if is_skipped_by_content(name, os.path.basename(parent), content) or (
            CACHE_TAG_NAME.lower() in content and self._is_tagged(folder)
        ):
            self._counts.skipped_folders[name] += 1
            return True
        return False

    def _skips_by_name(self, name: str, folder: str, siblings: set[str]) -> bool:
        """Tell, and count, whether a folder is skipped for its name and for what lies beside it."""
        if self._no_skip or not is_skipped_by_name(name, os.path.basename(folder), siblings):
            return False
        self._counts.skipped_folders[name] += 1
        return True

    def _is_tagged(self, folder: str) -> bool:
        try:
            return self._threads.call(lambda _heartbeat: has_cache_tag(folder), SILENT_S)
        except OSError:
            return False

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        """Return what lies in a folder, by name; nothing, counted, if it cannot be read."""

        def look(_heartbeat: Heartbeat) -> list[os.DirEntry[str]]:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)

        try:
            return self._threads.call(look, SILENT_S)
        except OSError as error:
            if folder == self._root:
                raise self._gone(error) from error
            self._note_unreadable(folder, error)
            return []

    def _looked_at(self, entries: Sequence[os.DirEntry[str]]) -> Iterator[_Seen]:
        """Yield what each of these entries is."""
        while entries:
            seen: list[_Seen] = []
            try:
                self._threads.call(partial(self._look, entries, seen), SILENT_S)
            except TimeoutError as error:
                seen = list(seen)  # what comes late is not wanted
                for silent in entries[len(seen) : len(seen) + 1]:
                    self._note_unreadable(silent.path, error)
                    seen.append((silent, _Skipped.SILENT))
            self._count(seen)
            yield from seen
            entries = entries[len(seen) :]

    def _look(self, entries: Sequence[os.DirEntry[str]], seen: list[_Seen], heartbeat: Heartbeat) -> None:
        for entry in entries:
            seen.append((entry, self._what(entry)))
            heartbeat()

    def _what(self, entry: os.DirEntry[str]) -> ImageRef | _Skipped | None:
        name = name_below(entry.path, self._root)
        if entry.name.startswith(".") or self._names.excludes(name):
            return _Skipped.UNWANTED
        if _is_folder(entry):
            return None
        return _image(entry, self._root) if self._names.includes(name) else _Skipped.UNWANTED

    def _count(self, seen: Sequence[_Seen]) -> None:
        for _, what in seen:
            self._counts.links += what is _Skipped.LINK
            self._counts.ignored += what is _Skipped.IGNORED
            self._counts.unreadable += what is _Skipped.UNREADABLE

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


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # on file systems where it takes a stat; as a file it will be counted as unreadable
        return False


def _image(entry: os.DirEntry[str], root: str) -> ImageRef | _Skipped:
    try:
        if entry.is_symlink() and not _leads_to_file_inside(entry.path, root):
            return _Skipped.LINK
        status = entry.stat()
        # A FIFO or a device called x.jpg is offered to a worker, and fails with the reason; none is opened here.
        if not has_image_suffix(entry.name) and not (S_ISREG(status.st_mode) and _begins_like_image(entry.path)):
            return _Skipped.IGNORED
    except OSError as error:
        logger.warning("%s cannot be read: %s", entry.path, error.strerror)
        return _Skipped.UNREADABLE
    return ImageRef(entry.path, *version_from(status))


def _begins_like_image(path: str) -> bool:
    return is_image_head(read_head(path, HEAD_BYTES))


def _leads_to_file_inside(path: str, root: str) -> bool:
    real = os.path.realpath(path)
    return lies_below(real, root) and os.path.isfile(real)
