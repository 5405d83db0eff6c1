"""A stretch of a walk through a folder tree: what one thread does in one go.

It begins at a position, and ends at one. Until then, nothing that it finds is seen by anybody else: a thread that never
comes back, or late, leaves nothing half done, and another one does the same stretch again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import attrgetter
from stat import S_ISREG
from time import monotonic
from typing import TYPE_CHECKING

from archive.counts import ScanCounts
from archive.location import lies_below, name_below
from archive.places.local_file import mtime_ns_of, read_head
from archive.skipped_folders import CACHE_TAG_NAME, has_cache_tag, is_skipped_by_content, is_skipped_by_name
from archive.sniff import HEAD_BYTES, has_image_suffix, is_image_head
from storage.records import ImageRef

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from archive.blocking import Heartbeat
    from archive.globs import NameFilter

#: Seconds after which a stretch ends: on a slow share, this is what its first image comes after, and what is done again
#: where one file never answers.
STRETCH_S = 0.05
#: Seconds between two signs of life, where a disk answers: for each entry, they would take a tenth of its time.
_HEARTBEAT_S = 0.005
#: What most names of images end with, of those that `has_image_suffix` knows.
_USUAL = (".jpg", ".JPG", ".jpeg", ".png", ".heic", ".HEIC")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is listed of a root, as `Listing` has it."""

    root: str
    names: NameFilter
    no_skip: bool


@dataclass(frozen=True, kw_only=True)
class OpenFolder:
    """A folder that has been read, and in part been looked at."""

    path: str
    entries: Sequence[os.DirEntry[str]]  #: by name
    names: set[str]  #: of the entries, in lower case
    looked_at: int = 0  #: of the entries
    inner: tuple[str, ...] = ()  #: folders among those, to be walked after it


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a walk goes on: all that comes before has been looked at."""

    folders: tuple[str, ...]  #: to be read, the last one first
    folder: OpenFolder | None = None  #: to be looked at before them


@dataclass(kw_only=True)
class Stretch:
    """A stretch of a walk. Its findings are only to be looked at once it has ended."""

    rules: Rules
    begin: Position
    most: int  #: entries that it may look at
    silent: Collection[str]  #: what is passed over, since it once did not answer
    images: list[ImageRef] = field(default_factory=list)
    counts: ScanCounts = field(default_factory=ScanCounts)  #: but for what is unreadable
    unreadable: list[tuple[str, OSError]] = field(default_factory=list)
    _looked_at: int = 0
    _at: str | os.DirEntry[str] | None = None

    @property
    def at(self) -> str | None:
        """The path that is being looked at, as any thread may ask; None: it has not begun."""
        return self._at if self._at is None else os.fspath(self._at)

    def walk(self, heartbeat: Heartbeat) -> Position | None:
        """Walk, for so many entries or so long; return where it goes on, or None at the end.

        Raises:
            OSError: the root cannot be read.

        """
        until = monotonic() + STRETCH_S
        folders = list(self.begin.folders)
        folder = self.begin.folder
        while folder or folders:
            folder = folder or self._open(folders.pop())
            heartbeat()
            if folder:
                folder = self._look(folder, until, heartbeat)
                if folder.looked_at < len(folder.entries):
                    return Position(folders=tuple(folders), folder=folder)
                folders += reversed(folder.inner)
                folder = None
            if self._looked_at >= self.most or monotonic() >= until:
                return Position(folders=tuple(folders)) if folders else None
        return None

    def _open(self, path: str) -> OpenFolder | None:
        """Read a folder; None, counted, if it cannot be read or is skipped."""
        self._at = path
        if path in self.silent:
            return None
        try:
            with os.scandir(path) as entries:
                listed = sorted(entries, key=attrgetter("name"))
        except OSError as error:
            if path == self.rules.root:
                raise
            self.unreadable.append((path, error))
            return None
        names = {entry.name.lower() for entry in listed}
        if path != self.rules.root and self._skips_by_content(path, names):
            return None
        return OpenFolder(path=path, entries=listed, names=names)

    def _look(self, folder: OpenFolder, until: float, heartbeat: Heartbeat) -> OpenFolder:
        """Look at a folder's entries until the stretch is up, and return it as it is then."""
        looks_at_all = self.rules.names.takes_all and not self.silent
        inner: list[str] = []
        done = 0
        beat = 0.0
        for entry in islice(folder.entries, folder.looked_at, folder.looked_at + self.most - self._looked_at):
            self._at = entry
            try:
                # Nearly all are such files, and this is nearly all the time that a scan takes.
                if looks_at_all and entry.name.endswith(_USUAL) and entry.is_file(follow_symlinks=False):
                    self._add(entry)
                else:
                    self._look_at(entry, folder, inner)
            except OSError as error:
                self.unreadable.append((entry.path, error))
            done += 1
            now = monotonic()
            if now >= beat:
                heartbeat()
                beat = now + _HEARTBEAT_S
                if now >= until:
                    break
        self._looked_at += done
        return replace(folder, looked_at=folder.looked_at + done, inner=(*folder.inner, *inner))

    def _add(self, entry: os.DirEntry[str]) -> None:
        if entry.name[0] != ".":
            status = entry.stat()
            self.images.append(ImageRef(entry.path, status.st_size, mtime_ns_of(status)))

    def _look_at(self, entry: os.DirEntry[str], folder: OpenFolder, inner: list[str]) -> None:
        """Look at any entry.

        Raises:
            OSError: it cannot be read.

        """
        if entry.name.startswith(".") or entry.path in self.silent:
            return
        name = name_below(entry.path, self.rules.root)
        if self.rules.names.excludes(name):
            return
        if _is_folder(entry):
            if not self._skips_by_name(entry.name, folder):
                inner.append(entry.path)
        elif self.rules.names.includes(name):
            self._look_at_file(entry)

    def _look_at_file(self, entry: os.DirEntry[str]) -> None:
        if entry.is_symlink() and not _leads_to_file_inside(entry.path, self.rules.root):
            self.counts.links += 1
        # A FIFO or a device called x.jpg is offered to a worker, and fails with the reason; none is opened here.
        elif has_image_suffix(entry.name) or (S_ISREG(entry.stat().st_mode) and _begins_like_image(entry.path)):
            self._add(entry)
        else:
            self.counts.ignored += 1

    def _skips_by_content(self, folder: str, content: set[str]) -> bool:
        """Tell, and count, whether a folder is skipped for what lies in it."""
        if self.rules.no_skip:
            return False
        parent, name = os.path.split(folder)
        if is_skipped_by_content(name, os.path.basename(parent), content) or (
            CACHE_TAG_NAME.lower() in content and self._is_tagged(folder)
        ):
            self.counts.skipped_folders[name] += 1
            return True
        return False

    def _is_tagged(self, folder: str) -> bool:
        self._at = tag = os.path.join(folder, CACHE_TAG_NAME)
        try:
            return tag not in self.silent and has_cache_tag(folder)
        except OSError:
            return False

    def _skips_by_name(self, name: str, folder: OpenFolder) -> bool:
        """Tell, and count, whether a folder is skipped for its name and for what lies beside it."""
        if self.rules.no_skip or not is_skipped_by_name(name, os.path.basename(folder.path), folder.names):
            return False
        self.counts.skipped_folders[name] += 1
        return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # on file systems where it takes a stat; as a file it will be counted as unreadable
        return False


def _begins_like_image(path: str) -> bool:
    return is_image_head(read_head(path, HEAD_BYTES))


def _leads_to_file_inside(path: str, root: str) -> bool:
    real = os.path.realpath(path)
    return lies_below(real, root) and os.path.isfile(real)
