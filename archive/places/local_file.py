"""Opening local files: regular ones that lie, links resolved, in the archive, and nothing else."""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import TYPE_CHECKING

from archive.failures import FailureKind, ImageError
from archive.location import lies_in
from archive.places.contract import Contents, Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archive.blocking import Heartbeat

#: O_NONBLOCK: opening a FIFO that nobody writes to returns at once, and is then refused.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

#: What the system says of a path that leads nowhere; ENXIO is a socket's answer.
_KINDS = {
    errno.ENOENT: FailureKind.VANISHED,
    errno.ENOTDIR: FailureKind.VANISHED,
    errno.ENXIO: FailureKind.NOT_A_FILE,
}

#: What a share or a disk answers that may be well again in a moment; and a process or a system short of something.
_TRANSIENT = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "EREMOTEIO", "ESTALE", "ETIMEDOUT", "ENOTCONN", "ESHUTDOWN", "ENODEV", "ENOLINK", "ENOMEDIUM"),
        *("ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"),
        *("ENETRESET", "EAGAIN", "EBUSY", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"),
    )
    if hasattr(errno, name)  # macOS lacks some
)
#: Bytes that are read at a time: a share that gives so many within the silence it is allowed is slow, not dead.
_BLOCK_BYTES = 1_000_000
#: Times that a file is read which is another one, or changed, when its last byte is there.
READS_OF_A_CHANGING_FILE = 4


def read_file(path: str, roots: Sequence[str], max_bytes: int, heartbeat: Heartbeat) -> Contents:
    """Return the bytes of a file that lies, links resolved, in one of the roots.

    They are those of the version that it names: a file that changes meanwhile, or whose name leads to another one by
    then, is read again.

    Raises:
        ImageError: gone, unreadable, no regular file, outside of the archive, too large, or never the same for long.
        MemoryError: too large for this process.

    """
    for _ in range(READS_OF_A_CHANGING_FILE):
        contents = _read_once(path, roots, max_bytes, heartbeat)
        if contents:
            return contents
    raise ImageError(
        FailureKind.UNREADABLE, f"it changed {READS_OF_A_CHANGING_FILE} times while it was read", is_transient=True
    )


def read_head(path: str, count: int) -> bytes:
    """Return the first bytes of a file that a scan came across.

    Raises:
        OSError: it cannot be read.

    """
    descriptor = os.open(path, _FLAGS)
    try:
        return os.read(descriptor, count)
    finally:
        os.close(descriptor)


def version_of_file(path: str) -> Version | None:
    """Return the version that is there now; None if there is none to be seen."""
    try:
        return version_from(os.stat(path))
    except OSError:
        return None


def mtime_ns_of(status: os.stat_result) -> int:
    """Return a file's mtime in nanoseconds, as far as the 64 bits of a column hold it: from 1677 to 2262."""
    mtime_ns = status.st_mtime_ns
    return mtime_ns if -(2**63) <= mtime_ns < 2**63 else max(-(2**63), min(mtime_ns, 2**63 - 1))


def version_from(status: os.stat_result) -> Version:
    return Version(status.st_size, mtime_ns_of(status))


def _read_once(path: str, roots: Sequence[str], max_bytes: int, heartbeat: Heartbeat) -> Contents | None:
    """Return a file's bytes; None if it is not sure which version of it they are."""
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            status = os.fstat(descriptor)
            _check(descriptor, status, path, roots, max_bytes)
            data = _bytes(descriptor, status.st_size, heartbeat)
            # Also the name: what was put in its place may have the same size and time, and would pass for labelled.
            is_same = _identity(status) == _identity(os.fstat(descriptor)) == _identity(os.stat(path))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _image_error(error, path) from None
    return Contents(data, version_from(status)) if len(data) == status.st_size and is_same else None


def _image_error(error: OSError, path: str) -> ImageError:
    kind = _KINDS.get(error.errno or 0, FailureKind.UNREADABLE)
    is_transient = error.errno in _TRANSIENT
    version = None if is_transient or kind is FailureKind.VANISHED else version_of_file(path)
    return ImageError(kind, error.strerror or str(error), is_transient=is_transient, version=version)


def _bytes(descriptor: int, size: int, heartbeat: Heartbeat) -> bytes:
    """Return the bytes of an open file, and at most one more than its size: enough to tell that it grew."""
    read = io.BytesIO()
    while block := os.read(descriptor, min(_BLOCK_BYTES, size + 1 - read.tell())):
        read.write(block)
        heartbeat()
    return read.getvalue()


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Return what tells two versions of a file apart. Its ctime is the kernel's, which no program sets back."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _check(descriptor: int, status: os.stat_result, path: str, roots: Sequence[str], max_bytes: int) -> None:
    """Check that an open file may be read.

    Raises:
        ImageError: it may not.

    """
    if status.st_nlink == 0:
        raise ImageError(FailureKind.VANISHED, "another file took its place while it was being opened")
    version = version_from(status)
    if not stat.S_ISREG(status.st_mode):
        what = f"not a regular file but a {_kind_of(status.st_mode)}"
        raise ImageError(FailureKind.NOT_A_FILE, what, version=version)
    if not lies_in(_real_path(descriptor, path), roots):
        raise ImageError(FailureKind.OUTSIDE, "a link that leads out of the archive", version=version)
    if status.st_size > max_bytes:
        what = f"{status.st_size:,} bytes; NIGHTLABEL_MAX_FILE_MB allows {max_bytes:,}"
        raise ImageError(FailureKind.TOO_LARGE, what, version=version)


def _real_path(descriptor: int, path: str) -> str:
    """Return where the open file really lies. Asked of the descriptor, so that no link can change meanwhile."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:  # macOS
        return os.path.realpath(path)


def _kind_of(mode: int) -> str:
    names = {stat.S_IFDIR: "folder", stat.S_IFIFO: "FIFO"}
    return names.get(stat.S_IFMT(mode), "device")
