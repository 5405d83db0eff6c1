"""From a path to a file's bytes: regular files under the archive's roots, and nothing else."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from worker.failures import FailureKind, ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: O_NONBLOCK: opening a FIFO that nobody writes to returns at once, and is then refused.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

#: What the system says of a path that leads nowhere; ENXIO is a socket's answer.
_KINDS = {
    errno.ENOENT: FailureKind.VANISHED,
    errno.ENOTDIR: FailureKind.VANISHED,
    errno.ENXIO: FailureKind.NOT_A_FILE,
}


class ImageFile(NamedTuple):
    """What was read, and which version of the file it was."""

    data: bytes
    size: int
    mtime_ns: int


def read_image(path: str, roots: Sequence[str], max_bytes: int) -> ImageFile:
    """Return the bytes of a file that lies, links resolved, under one of the roots.

    Raises:
        ImageError: gone, unreadable, no regular file, outside of the archive, or too large.

    """
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            status = os.fstat(descriptor)
            _check(descriptor, status, path, roots, max_bytes)
            with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
                data = file.readall()
        finally:
            os.close(descriptor)
    except OSError as error:
        kind = _KINDS.get(error.errno or 0, FailureKind.UNREADABLE)
        raise ImageError(kind, error.strerror or str(error)) from None
    return ImageFile(data, status.st_size, status.st_mtime_ns)


def _check(descriptor: int, status: os.stat_result, path: str, roots: Sequence[str], max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(FailureKind.NOT_A_FILE, f"no regular file, but a {_kind_of(status.st_mode)}")
    real = _real_path(descriptor, path)
    if not any(real == root or real.startswith(root.rstrip("/") + "/") for root in roots):
        raise ImageError(FailureKind.OUTSIDE, "a link that leads out of the archive")
    if status.st_size > max_bytes:
        raise ImageError(
            FailureKind.TOO_LARGE, f"{status.st_size:,} bytes; NIGHTLABEL_MAX_FILE_MB allows {max_bytes:,}"
        )


def _real_path(descriptor: int, path: str) -> str:
    """Return where the open file really lies. Asked of the descriptor, so that no link can change meanwhile."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:  # macOS
        return os.path.realpath(path)


def _kind_of(mode: int) -> str:
    names = {stat.S_IFDIR: "folder", stat.S_IFIFO: "FIFO"}
    return names.get(stat.S_IFMT(mode), "device")
