"""One root, walked folder by folder by a thread that is left behind where the disk never answers it."""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from stat import S_ISREG
from typing import TYPE_CHECKING

from archive.blocking import Threads
from archive.skipped_folders import CACHE_TAG_NAME, has_cache_tag, holds_copies, is_kept
from archive.sniff import begins_like_one, has_image_suffix
from common.errors import ArchiveError
from common.settings import SILENT_S
from storage.records import ImageRef, mtime_ns_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archive.blocking import Alive

logger = logging.getLogger(__name__)

#: Entries of a folder that are looked at in one go. On a share of 20 ms an entry, the first image is there after 1.3 s.
_LOOKED_AT_ONCE = 64
#: Names of folders that are told.
_NAMES_TOLD = 4


@dataclass
class ScanCounts:
    """What a scan came across and left out."""

    ignored: int = 0  #: files that are no images, by their content
    links: int = 0  #: links out of the archive, and linked folders
    unreadable: int = 0  #: folders and files that could not be opened, or did not answer; the log names them
    kept: Counter[str] = field(default_factory=Counter)  #: folders that programs keep, by their names

    def sentences(self) -> Iterator[str]:
        """Yield what a person should know of what is left out."""
        if self.unreadable:
            yield f"{self.unreadable:,} files or folders could not be read, and are left out."
        if self.links:
            yield f"{self.links:,} links lead to folders or out of the archive, and are left out."
        if self.kept:
            names = [shown(name) for name, _ in self.kept.most_common(_NAMES_TOLD)]
            more = " …" if len(self.kept) > _NAMES_TOLD else ""
            is_one = self.kept.total() == 1
            yield (
                f"{self.kept.total():,} folder{'' if is_one else 's'} with copies that other programs keep"
                f" ({', '.join(names)}{more}) {'is' if is_one else 'are'} left out; --no-skip takes them too."
            )


class _LeftOut(Enum):
    """Why an entry of a folder is none of the images."""

    UNWANTED = auto()
    IGNORED = auto()
    LINK = auto()
    UNREADABLE = auto()
    SILENT = auto()


#: An entry of a folder, and what it is: an image, a folder to walk (None), or left out.
_Seen = tuple["os.DirEntry[str]", ImageRef | _LeftOut | None]


class Walk:
    """A walk through one root, by a thread that is left behind where the disk never answers it."""

    def __init__(
        self,
        root: str,
        wanted: Callable[[os.DirEntry[str], str], bool],
        unwanted: Callable[[os.DirEntry[str], str], bool],
        counts: ScanCounts,
        *,
        no_skip: bool,
    ) -> None:
        self._root = root
        self._wanted = wanted
        self._unwanted = unwanted
        self._counts = counts
        self._no_skip = no_skip
        self._threads = Threads(1, "scan")

    def only_file(self) -> ImageRef | None:
        """Return the root, if it is a file."""

        def look(_alive: Alive) -> ImageRef | None:
            if not os.path.isfile(self._root):
                return None
            status = os.stat(self._root)
            return ImageRef(self._root, status.st_size, mtime_ns_of(status))

        try:
            return self._threads.ask(look, SILENT_S)
        except OSError as error:
            raise self._gone(error) from error

    def images(self, is_stopped: Callable[[], bool]) -> Iterator[ImageRef]:
        folders = [self._root]
        while folders:
            folder = folders.pop()
            inner = []
            entries = self._entries(folder)
            siblings = {entry.name.lower() for entry in entries}
            if folder != self._root and self._is_kept(folder, siblings):
                continue
            for start in range(0, len(entries), _LOOKED_AT_ONCE):
                for entry, what in self._looked_at(entries[start : start + _LOOKED_AT_ONCE]):
                    if is_stopped():
                        return
                    if isinstance(what, ImageRef):
                        yield what
                    elif what is None and not self._is_kept_around(entry.name, folder, siblings):
                        inner.append(entry.path)
            folders += reversed(inner)

    def _is_kept(self, folder: str, content: set[str]) -> bool:
        """Tell, and count, whether a folder holds what only programs put there."""
        if self._no_skip:
            return False
        parent, name = os.path.split(folder)
        if holds_copies(name, os.path.basename(parent), content) or (
            CACHE_TAG_NAME.lower() in content and self._is_tagged(folder)
        ):
            self._counts.kept[name] += 1
            return True
        return False

    def _is_kept_around(self, name: str, folder: str, siblings: set[str]) -> bool:
        """Tell, and count, whether a folder is called and placed as programs do it."""
        if self._no_skip or not is_kept(name, os.path.basename(folder), siblings):
            return False
        self._counts.kept[name] += 1
        return True

    def _is_tagged(self, folder: str) -> bool:
        try:
            return self._threads.ask(lambda _alive: has_cache_tag(folder), SILENT_S)
        except OSError:
            return False

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        """Return what lies in a folder, by name; nothing, counted, if it cannot be read."""

        def look(_alive: Alive) -> list[os.DirEntry[str]]:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)

        try:
            return self._threads.ask(look, SILENT_S)
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
                self._threads.ask(partial(self._look, entries, seen), SILENT_S)
            except TimeoutError as error:
                seen = list(seen)  # what comes late is not wanted
                for silent in entries[len(seen) : len(seen) + 1]:
                    self._note_unreadable(silent.path, error)
                    seen.append((silent, _LeftOut.SILENT))
            self._count(seen)
            yield from seen
            entries = entries[len(seen) :]

    def _look(self, entries: Sequence[os.DirEntry[str]], seen: list[_Seen], alive: Alive) -> None:
        for entry in entries:
            seen.append((entry, self._what(entry)))
            alive()

    def _what(self, entry: os.DirEntry[str]) -> ImageRef | _LeftOut | None:
        if entry.name.startswith(".") or self._unwanted(entry, self._root):
            return _LeftOut.UNWANTED
        if _is_folder(entry):
            return None
        return _image(entry, self._root) if self._wanted(entry, self._root) else _LeftOut.UNWANTED

    def _count(self, seen: Sequence[_Seen]) -> None:
        for _, what in seen:
            self._counts.links += what is _LeftOut.LINK
            self._counts.ignored += what is _LeftOut.IGNORED
            self._counts.unreadable += what is _LeftOut.UNREADABLE

    def _note_unreadable(self, path: str, error: OSError) -> None:
        """Count and log what cannot be read.

        Raises:
            ArchiveError: it is the root that does not answer.

        """
        logger.warning("%s cannot be read: %s", path, error.strerror)
        self._counts.unreadable += 1
        if isinstance(error, TimeoutError):
            try:
                self._threads.ask(lambda _alive: os.scandir(self._root).close(), SILENT_S)
            except OSError as root_error:
                raise self._gone(root_error) from root_error

    def _gone(self, error: OSError) -> ArchiveError:
        return ArchiveError(f"{shown(self._root)} cannot be read: {error.strerror}. Is it still mounted?")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # on file systems where it takes a stat; as a file it will be counted as unreadable
        return False


def _image(entry: os.DirEntry[str], root: str) -> ImageRef | _LeftOut:
    try:
        if entry.is_symlink() and not _leads_to_file_inside(entry.path, root):
            return _LeftOut.LINK
        status = entry.stat()
        # A FIFO or a device called x.jpg is offered to a worker, and fails with the reason; none is opened here.
        if not has_image_suffix(entry.name) and not (S_ISREG(status.st_mode) and begins_like_one(entry.path)):
            return _LeftOut.IGNORED
    except OSError as error:
        logger.warning("%s cannot be read: %s", entry.path, error.strerror)
        return _LeftOut.UNREADABLE
    return ImageRef(entry.path, status.st_size, mtime_ns_of(status))


def _leads_to_file_inside(path: str, root: str) -> bool:
    real = os.path.realpath(path)
    return real.startswith(root.rstrip("/") + "/") and os.path.isfile(real)
