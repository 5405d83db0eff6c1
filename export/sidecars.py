"""`nightlabel sidecars`: a sidecar beside each picture, or in a tree of their own."""

from __future__ import annotations

import errno
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from archive.blocking import call_with_timeout
from archive.location import lies_below
from archive.places import why_gone
from common.errors import ArchiveError, UsageError
from export.keywords import keywords_of
from export.sidecar_file import Change, LeftAloneError, merge_file
from export.xmp_fields import Keywords
from storage.keywords import archive_roots, path_pages, shown_pages
from storage.records import shown as shown_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

    from storage.database import Database
    from storage.keywords import Shown

__all__ = ["Change", "Done", "Sidecars", "write_sidecars"]

SUFFIX = ".xmp"
#: Sidecars that are written at once: each waits until the disk has it, and a disk takes several in one go.
_AT_ONCE = 8
#: Folders of which is known whether a link leads to them: images come folder by folder.
_FOLDERS = 64
#: Errors that every further sidecar would meet: the disk is full, mounted to be read, or gives out.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
#: Errors of a folder in which this user may not write.
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_NOTHING = Keywords((), ())


class Done(NamedTuple):
    """What became of one sidecar."""

    path: str  #: of the sidecar
    change: Change
    why: str = ""  #: it was left alone
    words: tuple[str, ...] = ()  #: what it says of the picture


@dataclass(kw_only=True)
class Sidecars:
    """Which sidecars are to be written, and how."""

    language: str = "en"  #: of the keywords
    min_score: float = 0.5  #: what a kind or a label must have, 0…1
    into: str | None = None  #: a folder for a tree of their own; None: beside the pictures
    remove: bool = False  #: take out what earlier calls wrote
    dry_run: bool = False  #: only say what would change
    tell: Callable[[Done], None] = field(default=lambda _: None)  #: called after each


def write_sidecars(database: Database, wanted: Sidecars) -> Counter[Change]:
    """Write, change or remove the sidecars of all images that have labels; return how many of each.

    Raises:
        UsageError: what they should go into is no folder.
        ArchiveError: the archive is not there, or no sidecar can be written to it.
        DatabaseError: the database cannot be read.

    """
    if wanted.into and os.path.lexists(wanted.into) and not os.path.isdir(wanted.into):
        raise UsageError(f"{shown_path(wanted.into)} is no folder.")
    roots = archive_roots(database)
    if not (wanted.into and wanted.remove):
        _check_roots(roots)
    writer = _Writer(wanted, roots)
    counts: Counter[Change] = Counter()
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sidecars")
    try:
        for page in path_pages(database) if wanted.remove else shown_pages(database, wanted.min_score):
            for done in _written(writer, page, pool):
                counts[done.change] += 1
                wanted.tell(done)
    finally:
        pool.shutdown(cancel_futures=True)
    return counts


def _written(writer: _Writer, page: list[Shown], pool: Executor) -> Iterator[Done]:
    """Write a page's sidecars, in order, one by one until one is written: where none can be, none is tried twice."""
    images = iter(page)
    while not writer.has_written:
        image = next(images, None)
        if image is None:
            return
        yield writer.write(image)
    yield from pool.map(writer.write, images)


def _check_roots(roots: list[str]) -> None:
    """Check that one root at least is there, before each of a million pictures is found to be gone."""
    reasons = []
    for root in roots:
        try:
            gone = call_with_timeout(partial(why_gone, root))
        except TimeoutError as error:
            gone = error.strerror
        if gone is None:
            return
        reasons.append(f"{shown_path(root)}: {gone}")
    if reasons:
        raise ArchiveError(f"The archive is gone: {'; '.join(reasons)}. Is its disk mounted here?")


class _Writer:
    """Writes sidecars, and stops where none can be written."""

    def __init__(self, wanted: Sidecars, roots: list[str]) -> None:
        self._wanted = wanted
        self._into = os.path.realpath(wanted.into) if wanted.into else None
        self._roots = [self._into] if self._into else roots
        self.has_written = False
        self._is_plain = lru_cache(_FOLDERS)(lambda folder: os.path.realpath(folder) == os.path.normpath(folder))

    def write(self, image: Shown) -> Done:
        """Write the sidecar of an image.

        Raises:
            ArchiveError: the disk takes none, or the archive is not this user's to write to.

        """
        path = (self._into or "") + image.path + SUFFIX
        if not self._wanted.remove and not _is_there(image.path):
            return Done(path, Change.GONE)
        keywords = _NOTHING if self._wanted.remove else keywords_of(image, self._wanted.language)
        folder = os.path.dirname(path)
        try:
            self._check_folder(folder)
            change = merge_file(
                path,
                keywords,
                self._wanted.language,
                lambda: self._make_folder(folder),
                dry_run=self._wanted.dry_run,
            )
        except LeftAloneError as error:
            return Done(path, Change.LEFT_ALONE, str(error))
        except OSError as error:
            self._raise_if_hopeless(folder, error)
            return Done(path, Change.LEFT_ALONE, error.strerror or str(error))
        self._note(folder, change)
        return Done(path, change, words=keywords.words)

    def _note(self, folder: str, change: Change) -> None:
        if change in (Change.CREATED, Change.CHANGED, Change.DELETED):
            self.has_written = True
        if change is Change.DELETED and self._into and self._wanted.remove and not self._wanted.dry_run:
            for empty in _folders_above(folder, self._into):
                try:
                    os.rmdir(empty)
                except OSError:  # something else lies in it
                    break

    def _check_folder(self, folder: str) -> None:
        """Check that no link leads elsewhere on the way to a folder, as none did when the archive was scanned.

        Raises:
            LeftAloneError: one does.

        """
        if not self._is_plain(folder):
            raise LeftAloneError("a link leads to its folder")

    def _make_folder(self, folder: str) -> None:
        if self._into:
            os.makedirs(folder, exist_ok=True)

    def _raise_if_hopeless(self, folder: str, error: OSError) -> None:
        is_refused = error.errno in _FORBIDDEN and not self.has_written and not self._may_write(folder)
        if error.errno in _OF_THE_DISK or is_refused:
            beside = " Sidecars can go into another folder: --into FOLDER." if not self._into else ""
            so_far = "What was written before stays." if self.has_written else "Nothing was written."
            raise ArchiveError(
                f"No sidecar can be written in {shown_path(folder)}: {error.strerror}. {so_far}{beside}"
            ) from None

    def _may_write(self, folder: str) -> bool:
        """Tell whether this user may write to a folder, or to its archive, where others may go better."""
        root = next((root for root in self._roots if lies_below(folder, root)), folder)
        return os.access(folder, os.W_OK) or os.access(root, os.W_OK)


def _folders_above(folder: str, top: str) -> Iterator[str]:
    """Yield a folder and those above it, up to one that stays."""
    while folder.startswith(top + os.sep):
        yield folder
        folder = os.path.dirname(folder)


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True
