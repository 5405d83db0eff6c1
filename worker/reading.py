"""From a path to a file's bytes: regular files under the archive's roots, and nothing else.

Files are read ahead while the processor decodes and classifies, so that a share which takes 20 ms a file does not
keep a core waiting.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from time import perf_counter, sleep
from typing import TYPE_CHECKING, NamedTuple

from common.errors import ArchiveError
from storage.records import mtime_ns_of, shown
from worker.failures import FailureKind, ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from storage.records import ChunkImage

#: O_NONBLOCK: opening a FIFO that nobody writes to returns at once, and is then refused.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

#: What the system says of a path that leads nowhere; ENXIO is a socket's answer.
_KINDS = {
    errno.ENOENT: FailureKind.VANISHED,
    errno.ENOTDIR: FailureKind.VANISHED,
    errno.ENXIO: FailureKind.NOT_A_FILE,
}

#: What a share or a disk answers that may be well again in a moment; and a process or a system short of something.
_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "EREMOTEIO", "ESTALE", "ETIMEDOUT", "ENOTCONN", "ESHUTDOWN", "ENODEV", "ENOLINK", "ENOMEDIUM"),
        *("ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"),
        *("ENETRESET", "EAGAIN", "EBUSY", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"),
    )
    if hasattr(errno, name)  # macOS lacks some
)
#: Kinds of which an archive that is gone would leave one for every image; a file that is open when its root is renamed
#: lies outside of it.
_FAULTS_OF_A_DISK = (FailureKind.VANISHED, FailureKind.UNREADABLE, FailureKind.OUTSIDE)
#: Seconds before a file is tried again that a disk or a share just failed to read.
RETRY_PAUSES_S = (0.1, 0.4, 1.0)

#: Files that are read at once, ahead of the one that is decoded. 8 in 20 ms are 400 a second: more than a core uses.
READ_AHEAD_FILES = 8
#: Larger files are read when it is their turn, so that reading ahead holds at most 8 × 8 MB.
READ_AHEAD_MAX_BYTES = 8_000_000


#: 128 bits tell files apart. At a gigabyte a second, a photo of 4 MB costs a reading thread 5 % of its decoding.
_CONTENT_BYTES = 16


class ImageFile(NamedTuple):
    """What was read, and which version of the file it was."""

    data: bytes
    size: int
    mtime_ns: int
    content: str  #: blake2b, 128 bits in hexadecimal, of its bytes
    read_ms: float


class Reader:
    """Reads a chunk's files, a few of them ahead, with threads that do nothing but wait for the disk."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._threads = ThreadPoolExecutor(READ_AHEAD_FILES, thread_name_prefix="read")

    def ahead(
        self, images: Sequence[ChunkImage], roots: Sequence[str]
    ) -> Iterator[tuple[ChunkImage, Callable[[], ImageFile]]]:
        """Yield each image, in order, with the function that returns its bytes or raises its ImageError."""
        waiting: deque[tuple[ChunkImage, Future[ImageFile | None]]] = deque()
        coming = iter(images)
        try:
            while True:
                for image in islice(coming, READ_AHEAD_FILES - len(waiting)):
                    waiting.append((image, self._threads.submit(self._read_small, image.path, roots)))
                if not waiting:
                    return
                image, reading = waiting.popleft()
                yield image, partial(self._result, image.path, roots, reading)
        finally:
            for _, reading in waiting:
                reading.cancel()

    def _read_small(self, path: str, roots: Sequence[str]) -> ImageFile | None:
        """Return a file; None, unread, if it is not to be held in memory before its turn."""
        try:
            return _read_again(path, roots, min(self._max_bytes, READ_AHEAD_MAX_BYTES))
        except ImageError as error:
            if error.kind is FailureKind.TOO_LARGE:
                return None
            raise

    def _result(self, path: str, roots: Sequence[str], reading: Future[ImageFile | None]) -> ImageFile:
        try:
            return reading.result() or _read_again(path, roots, self._max_bytes)
        except ImageError as error:
            if error.kind in _FAULTS_OF_A_DISK:
                _refuse_gone(path, roots)
            raise


def why_gone(root: str) -> str | None:
    """Return why no image can be read from a folder that held some; None if it looks well.

    An empty one counts as gone: it is what is left of a mount point when its disk is not there.
    """
    try:
        with os.scandir(root) as entries:
            return None if next(entries, None) else "it is empty"
    except OSError as error:
        return error.strerror or str(error)


def _refuse_gone(path: str, roots: Sequence[str]) -> None:
    """Blame no image for an archive that is not there.

    Raises:
        ArchiveError: it is not.

    """
    for root in roots:
        if _lies_below(path, root) and (reason := why_gone(root)):
            raise ArchiveError(f"The archive {shown(root)} is gone: {reason}. Is its disk mounted here?")


def _read_again(path: str, roots: Sequence[str], max_bytes: int) -> ImageFile:
    """Read a file; a few times, if it is the disk that fails."""
    for pause_s in RETRY_PAUSES_S:
        try:
            return read_image(path, roots, max_bytes)
        except ImageError as error:
            if not error.passes:
                raise
        sleep(pause_s)
    return read_image(path, roots, max_bytes)


def read_image(path: str, roots: Sequence[str], max_bytes: int) -> ImageFile:
    """Return the bytes of a file that lies, links resolved, under one of the roots.

    Raises:
        ImageError: gone, unreadable, no regular file, outside of the archive, or too large.

    """
    started = perf_counter()
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
        raise ImageError(kind, error.strerror or str(error), passes=error.errno in _PASSING) from None
    except MemoryError:
        raise ImageError(FailureKind.TOO_LARGE, "not enough memory to read it") from None
    read_ms = (perf_counter() - started) * 1000
    content = hashlib.blake2b(data, digest_size=_CONTENT_BYTES).hexdigest()
    return ImageFile(data, status.st_size, mtime_ns_of(status), content, read_ms)


def _check(descriptor: int, status: os.stat_result, path: str, roots: Sequence[str], max_bytes: int) -> None:
    if status.st_nlink == 0:
        raise ImageError(FailureKind.VANISHED, "another file took its place while it was opened")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(FailureKind.NOT_A_FILE, f"no regular file, but a {_kind_of(status.st_mode)}")
    real = _real_path(descriptor, path)
    if not any(real == root or _lies_below(real, root) for root in roots):
        raise ImageError(FailureKind.OUTSIDE, "a link that leads out of the archive")
    if status.st_size > max_bytes:
        raise ImageError(
            FailureKind.TOO_LARGE, f"{status.st_size:,} bytes; NIGHTLABEL_MAX_FILE_MB allows {max_bytes:,}"
        )


def _lies_below(path: str, root: str) -> bool:
    return path.startswith(root.rstrip("/") + "/")


def _real_path(descriptor: int, path: str) -> str:
    """Return where the open file really lies. Asked of the descriptor, so that no link can change meanwhile."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:  # macOS
        return os.path.realpath(path)


def _kind_of(mode: int) -> str:
    names = {stat.S_IFDIR: "folder", stat.S_IFIFO: "FIFO"}
    return names.get(stat.S_IFMT(mode), "device")
