"""One sidecar on the disk: read, merged, and written whole or not at all; or left alone, with the reason."""

from __future__ import annotations

import os
import stat
from enum import StrEnum, auto
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from common.whole_file import replaced_file
from export.xmp import Sidecar
from export.xmp_packet import MAX_BYTES, NotXmpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from export.xmp_fields import Keywords


class Change(StrEnum):
    """What became of a sidecar."""

    CREATED = auto()
    CHANGED = auto()
    DELETED = auto()  #: all in it was ours
    UNCHANGED = auto()
    NONE = auto()  #: there is none, and nothing to say in one
    GONE = auto()  #: the picture is
    LEFT_ALONE = auto()  #: for the reason that is given


class LeftAloneError(Exception):
    """A sidecar is not touched; says why, as the end of a sentence."""


class _Read(NamedTuple):
    """A sidecar as it was read."""

    data: bytes
    version: tuple[int, ...]


def merge_file(
    path: str, keywords: Keywords, language: str, make_folder: Callable[[], None], *, dry_run: bool
) -> Change:
    """Make our keywords in a sidecar these, none too; say what that changes, or would.

    Args:
        path: of the sidecar, in a folder without links.
        keywords: ours; without any, ours are taken out, and no sidecar is made.
        language: of the keywords.
        make_folder: called before a new sidecar is written.
        dry_run: nothing is written.

    Raises:
        LeftAloneError: it cannot be read, is a link, or is no XMP that is understood.
        OSError: it cannot be written.

    """
    read = _read(path)
    if read is None and not keywords.words:
        return Change.NONE
    try:
        sidecar = Sidecar.parse(read.data) if read else Sidecar.new()
        if not sidecar.merge(keywords, language):
            return Change.UNCHANGED
    except NotXmpError as error:
        raise LeftAloneError(str(error)) from None
    is_over = sidecar.is_created_here and sidecar.is_empty
    if not dry_run:
        if is_over:
            _check_version(path, read)
            os.unlink(path)
        else:
            if read is None:
                make_folder()
            _write(path, sidecar.to_bytes(), read)
    if is_over:
        return Change.DELETED
    return Change.CHANGED if read else Change.CREATED


def _read(path: str) -> _Read | None:
    """Return what a sidecar holds; None: there is none. A link is not followed, and nothing but a file opened."""
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            raise LeftAloneError("it is a link")
        if not stat.S_ISREG(status.st_mode):
            raise LeftAloneError("it is no file")
        if status.st_size > MAX_BYTES:
            raise LeftAloneError(f"it has more than {MAX_BYTES // 1_000_000} MB")
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return _Read(file.read(MAX_BYTES + 1), _version(os.fstat(file.fileno())))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LeftAloneError(error.strerror or str(error)) from None


def _write(path: str, data: bytes, read: _Read | None) -> None:
    with replaced_file(Path(path)) as file:
        file.write(data)
        _check_version(path, read)


def _check_version(path: str, read: _Read | None) -> None:
    """Check that nobody has written to it since it was read.

    Raises:
        LeftAloneError: somebody has.

    """
    try:
        now = _version(os.lstat(path))
    except FileNotFoundError:
        now = None
    if now != (read.version if read else None):
        raise LeftAloneError("another program wrote it just now")


def _version(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
