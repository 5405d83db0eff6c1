"""Walk an archive and find its images: a stream, never a list."""

from __future__ import annotations

import fnmatch
import logging
import os
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, NamedTuple

from common.errors import ArchiveError
from producer.formats import begins_like_one, has_image_suffix
from storage.records import ImageRef, mtime_ns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

logger = logging.getLogger(__name__)

#: Folders that hold a program's copies and rubbish, not a person's photos.
SKIPPED_FOLDERS = frozenset(
    {
        "@eaDir",  # Synology's thumbnails
        "@Recycle",  # QNAP
        "#recycle",  # Synology
        "#snapshot",
        "$RECYCLE.BIN",  # Windows
        "System Volume Information",
        "lost+found",
        "__MACOSX",
    }
)


@dataclass
class ScanCounts:
    """What a scan came across and left out."""

    ignored: int = 0  #: files that are no images, by their content
    links: int = 0  #: links out of the archive, and linked folders
    unreadable: int = 0  #: folders and files that could not be opened; the log names them


def find_roots(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the real paths of the folders and files to label, without those that lie inside another.

    Raises:
        ArchiveError: one is missing or cannot be read.

    """
    roots = []
    for given in paths:
        try:
            path = Path(given).expanduser()
            real = path.resolve(strict=True)
            if real.is_dir():
                os.scandir(real).close()
            elif not os.access(real, os.R_OK):
                raise PermissionError(13, "Permission denied")
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, or ~somebody who is not known
            reason = getattr(error, "strerror", None) or error
            raise ArchiveError(f"{given} cannot be read: {reason}. Is it spelt right, and mounted?") from None
        roots.append(str(real))
    return tuple(
        root
        for root in dict.fromkeys(roots)
        if not any(Path(root).is_relative_to(other) for other in roots if other != root)
    )


def scan(
    roots: Sequence[str],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    counts: ScanCounts,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[ImageRef]:
    """Yield the images under the roots, folder by folder in the order of their names.

    Hidden files and folders, and `SKIPPED_FOLDERS`, are left out. Links to files inside the root are followed;
    links out of it, and links to folders, are not. A root that is a file is yielded whatever it holds. The scan ends
    early once `is_stopped` says so, which is asked before each entry.

    Raises:
        ArchiveError: a root is gone or cannot be read.

    """
    wanted = _matcher(include) if include else lambda _entry, _root: True
    unwanted = _matcher(exclude)
    for root in roots:
        if os.path.isfile(root):
            status = os.stat(root)
            yield ImageRef(root, status.st_size, mtime_ns_of(status))
        else:
            yield from _walk(root, wanted, unwanted, counts, is_stopped)


class Sample(NamedTuple):
    """Some of the images of an archive."""

    refs: list[ImageRef]
    found: int  #: images that they were drawn from
    is_whole: bool  #: those are all that there are


def sample(refs: Iterator[ImageRef], count: int, budget_s: float) -> Sample:
    """Return up to `count` images, drawn evenly from those that a scan finds within `budget_s` seconds.

    The draw is the same each time. Source: Vitter's reservoir sampling, algorithm R.
    """
    draw = random.Random(0)  # noqa: S311 - a sample, not a secret
    kept: list[ImageRef] = []
    found = 0
    is_whole = True
    deadline = time.monotonic() + budget_s
    for found, ref in enumerate(refs, start=1):
        if len(kept) < count:
            kept.append(ref)
        elif (place := draw.randrange(found)) < count:
            kept[place] = ref
        if time.monotonic() > deadline:
            is_whole = next(refs, None) is None
            break
    draw.shuffle(kept)
    return Sample(kept, found, is_whole)


def _walk(
    root: str,
    wanted: Callable[[os.DirEntry[str], str], bool],
    unwanted: Callable[[os.DirEntry[str], str], bool],
    counts: ScanCounts,
    is_stopped: Callable[[], bool],
) -> Iterator[ImageRef]:
    folders = [root]
    while folders:
        folder = folders.pop()
        inner = []
        for entry in _entries(folder, root, counts):
            if is_stopped():
                return
            if entry.name.startswith(".") or unwanted(entry, root):
                continue
            if _is_folder(entry):
                if entry.name not in SKIPPED_FOLDERS:
                    inner.append(entry.path)
            elif wanted(entry, root):
                ref = _image(entry, root, counts)
                if ref:
                    yield ref
        folders += reversed(inner)


def _entries(folder: str, root: str, counts: ScanCounts) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, by name; nothing, counted, if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        if folder == root:
            raise ArchiveError(f"{root} cannot be read: {error.strerror}. Is it still mounted?") from error
        logger.warning("The folder %s cannot be read: %s", folder, error.strerror)
        counts.unreadable += 1
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # on file systems where it takes a stat; as a file it will be counted as unreadable
        return False


def _image(entry: os.DirEntry[str], root: str, counts: ScanCounts) -> ImageRef | None:
    try:
        if entry.is_symlink() and not _leads_to_file_inside(entry.path, root):
            counts.links += 1
            return None
        status = entry.stat()
        # A FIFO or a device called x.jpg is offered to a worker, and fails with the reason; none is opened here.
        if not has_image_suffix(entry.name) and not (S_ISREG(status.st_mode) and begins_like_one(entry.path)):
            counts.ignored += 1
            return None
    except OSError as error:
        logger.warning("%s cannot be read: %s", entry.path, error.strerror)
        counts.unreadable += 1
        return None
    return ImageRef(entry.path, status.st_size, mtime_ns_of(status))


def _leads_to_file_inside(path: str, root: str) -> bool:
    real = os.path.realpath(path)
    return real.startswith(root.rstrip("/") + "/") and os.path.isfile(real)


def _matcher(globs: Sequence[str]) -> Callable[[os.DirEntry[str], str], bool]:
    """Return a test of a file's name and its path below a root, both in any case of letters.

    A glob with a slash is held against the path, where `*` crosses slashes; one without, against the name.
    """
    names = _compiled([glob for glob in globs if "/" not in glob])
    paths = _compiled([glob.strip("/") for glob in globs if "/" in glob])

    def matches(entry: os.DirEntry[str], root: str) -> bool:
        return bool((names and names.match(entry.name)) or (paths and paths.match(entry.path[len(root) :].lstrip("/"))))

    return matches


def _compiled(globs: Sequence[str]) -> re.Pattern[str] | None:
    joined = "|".join(fnmatch.translate(glob) for glob in globs)
    return re.compile(joined, re.IGNORECASE) if joined else None
