"""Walk an archive and find its images: a stream, never a list."""

from __future__ import annotations

import errno
import fnmatch
import os
import random
import re
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archive.blocking import ask
from archive.walk import Walk
from common.errors import ArchiveError
from common.settings import SILENT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archive.walk import ScanCounts
    from storage.records import ImageRef


def find_roots(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the real paths of the folders and files to label, without those that lie inside another.

    Raises:
        ArchiveError: one is missing or cannot be read.

    """
    roots = []
    for given in paths:
        try:
            real = ask(partial(_find_root, given), SILENT_S)
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, or ~somebody who is not known
            reason = getattr(error, "strerror", None) or error
            name = given or "''"
            raise ArchiveError(f"{name} cannot be read: {reason}. Is it spelt right, and mounted?") from None
        roots.append(str(real))
    return tuple(
        root
        for root in dict.fromkeys(roots)
        if not any(Path(root).is_relative_to(other) for other in roots if other != root)
    )


def _find_root(given: str) -> Path:
    if not given:  # an unset variable, which pathlib takes for the current folder
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    real = Path(given).expanduser().resolve(strict=True)
    if real.is_dir():
        os.scandir(real).close()
    elif not os.access(real, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return real


def scan(
    roots: Sequence[str],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    counts: ScanCounts,
    no_skip: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[ImageRef]:
    """Yield the images under the roots, folder by folder in the order of their names.

    Hidden files and folders are left out; folders that programs keep, too, unless `no_skip`. What does not answer for
    `SILENT_S` is left out as unreadable. Links to files inside the root are followed; links out of it, and links to
    folders, are not. A root that is a file is yielded whatever it holds. The scan ends early once `is_stopped` says so,
    which is asked before each entry.

    Raises:
        ArchiveError: a root is gone, cannot be read, or does not answer.

    """
    wanted = _matcher(include) if include else lambda _entry, _root: True
    unwanted = _matcher(exclude)
    for root in roots:
        walk = Walk(root, wanted, unwanted, counts, no_skip=no_skip)
        only = walk.only_file()
        if only:
            yield only
        else:
            yield from walk.images(is_stopped)


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
