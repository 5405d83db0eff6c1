"""From a path to a file's bytes: regular files under the archive's roots, and nothing else.

Files are read ahead while the processor decodes and classifies, so that a share which takes 20 ms a file does not
keep a core waiting.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from collections import deque
from functools import partial
from itertools import islice
from time import perf_counter, sleep
from typing import TYPE_CHECKING, NamedTuple

from archive.blocking import Call, Threads
from archive.failures import FailureKind, ImageError
from common.errors import ArchiveError
from common.settings import SILENT_S
from storage.records import ChunkImage, mtime_ns_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archive.blocking import Alive

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
#: Bytes that are read at a time: a share that gives so many within the silence it is allowed is slow, not dead.
_BLOCK_BYTES = 1_000_000
#: Times that a file is read which is another one, or changed, when its last byte is there.
READS_OF_A_CHANGING_FILE = 4


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
    """Reads a chunk's files, a few of them ahead, with threads that do nothing but wait for the disk.

    A read that gives no byte for `silent_s` is left behind with its thread: nothing can end a call that waits in the
    kernel. Each root has threads of its own, so that a share which is dead keeps no other one waiting.
    """

    def __init__(self, max_bytes: int, silent_s: float = SILENT_S) -> None:
        self._max_bytes = max_bytes
        self._silent_s = silent_s
        self._readers: dict[str, Threads] = {}
        self._looks: dict[str, Call[str | None]] = {}

    def ahead(
        self, images: Sequence[ChunkImage], roots: Sequence[str]
    ) -> Iterator[tuple[ChunkImage, Callable[[], ImageFile]]]:
        """Yield each image, in order, with the function that returns its bytes or raises its ImageError."""
        waiting: deque[tuple[ChunkImage, Call[ImageFile | None]]] = deque()
        coming = iter(images)
        try:
            while True:
                for image in islice(coming, READ_AHEAD_FILES - len(waiting)):
                    reading = Call(partial(self._read_small, image.path, roots))
                    self._readers_of(image.path, roots).start(reading)
                    waiting.append((image, reading))
                if not waiting:
                    return
                image, reading = waiting.popleft()
                yield image, partial(self._result, image.path, roots, reading)
        finally:
            for image, reading in waiting:
                self._readers_of(image.path, roots).leave(reading)

    def read(self, path: str, roots: Sequence[str]) -> ImageFile:
        """Return one file's bytes.

        Raises:
            ImageError: it cannot be read, or its disk does not answer.
            ArchiveError: its root is gone, or does not answer either.

        """
        ((_, result),) = self.ahead([ChunkImage(0, path)], roots)
        return result()

    def _read_small(self, path: str, roots: Sequence[str], alive: Alive) -> ImageFile | None:
        """Return a file; None, unread, if it is not to be held in memory before its turn."""
        try:
            return _read_again(path, roots, min(self._max_bytes, READ_AHEAD_MAX_BYTES), alive)
        except ImageError as error:
            if error.kind is FailureKind.TOO_LARGE:
                return None
            raise

    def _result(self, path: str, roots: Sequence[str], reading: Call[ImageFile | None]) -> ImageFile:
        threads = self._readers_of(path, roots)
        try:
            return reading.result(self._silent_s) or threads.ask(
                partial(_read_again, path, roots, self._max_bytes), self._silent_s
            )
        except ImageError as error:
            if error.kind in _FAULTS_OF_A_DISK:
                self._refuse_gone(path, roots)
            raise
        except TimeoutError as error:
            self._refuse_gone(path, roots)
            raise ImageError(FailureKind.TIMEOUT, f"not read: its disk gave {error.strerror}", passes=True) from None
        finally:
            threads.leave(reading)

    def _readers_of(self, path: str, roots: Sequence[str]) -> Threads:
        root = next((root for root in roots if _lies_below(path, root)), "")
        return self._readers.setdefault(root, Threads(READ_AHEAD_FILES, "read"))

    def _refuse_gone(self, path: str, roots: Sequence[str]) -> None:
        """Blame no image for an archive that is not there.

        Raises:
            ArchiveError: it is not.

        """
        for root in roots:
            if _lies_below(path, root) and (reason := self._why_gone(root)):
                raise ArchiveError(f"The archive {shown(root)} is gone: {reason}. Is its disk mounted here?")

    def _why_gone(self, root: str) -> str | None:
        look = self._looks.get(root)
        if look is None or look.is_done:  # else the root has not answered since it was asked before
            look = self._looks[root] = Call(lambda _alive: why_gone(root))
            look.begin()
        try:
            return look.result(self._silent_s)
        except TimeoutError as error:
            return f"it gives {error.strerror}"


def why_gone(root: str) -> str | None:
    """Return why no image can be read from a folder that held some; None if it looks well.

    An empty one counts as gone: it is what is left of a mount point when its disk is not there.
    """
    try:
        with os.scandir(root) as entries:
            return None if next(entries, None) else "it is empty"
    except OSError as error:
        return error.strerror or str(error)


def _read_again(path: str, roots: Sequence[str], max_bytes: int, alive: Alive) -> ImageFile:
    """Read a file; a few times, if it is the disk that fails."""
    for pause_s in RETRY_PAUSES_S:
        try:
            return read_image(path, roots, max_bytes, alive)
        except ImageError as error:
            if not error.passes:
                raise
        sleep(pause_s)
        alive()
    return read_image(path, roots, max_bytes, alive)


def read_image(path: str, roots: Sequence[str], max_bytes: int, alive: Alive = lambda: None) -> ImageFile:
    """Return the bytes of a file that lies, links resolved, under one of the roots.

    They are those of the version that it names: a file that changes meanwhile, or whose name leads to another one by
    then, is read again.

    Raises:
        ImageError: gone, unreadable, no regular file, outside of the archive, too large, or never the same for long.

    """
    for _ in range(READS_OF_A_CHANGING_FILE):
        file = _read_once(path, roots, max_bytes, alive)
        if file:
            return file
    raise ImageError(
        FailureKind.UNREADABLE, f"it changed {READS_OF_A_CHANGING_FILE} times while it was read", passes=True
    )


def _read_once(path: str, roots: Sequence[str], max_bytes: int, alive: Alive) -> ImageFile | None:
    """Return a file's bytes; None if it is not sure which version of it they are."""
    started = perf_counter()
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            status = os.fstat(descriptor)
            _check(descriptor, status, path, roots, max_bytes)
            data = _bytes(descriptor, status.st_size, alive)
            # Also the name: what was put in its place may have the same size and time, and would pass for labelled.
            is_same = _identity(status) == _identity(os.fstat(descriptor)) == _identity(os.stat(path))
        finally:
            os.close(descriptor)
    except OSError as error:
        kind = _KINDS.get(error.errno or 0, FailureKind.UNREADABLE)
        passes = error.errno in _PASSING
        version = None if passes or kind is FailureKind.VANISHED else _version_now(path)
        raise ImageError(kind, error.strerror or str(error), passes=passes, version=version) from None
    except MemoryError:
        raise ImageError(FailureKind.TOO_LARGE, "not enough memory to read it") from None
    if len(data) != status.st_size or not is_same:
        return None
    read_ms = (perf_counter() - started) * 1000
    content = hashlib.blake2b(data, digest_size=_CONTENT_BYTES).hexdigest()
    return ImageFile(data, status.st_size, mtime_ns_of(status), content, read_ms)


def _bytes(descriptor: int, size: int, alive: Alive) -> bytes:
    """Return the bytes of an open file, and at most one more than its size: that it grew, and for how long, is open."""
    read = io.BytesIO()
    while block := os.read(descriptor, min(_BLOCK_BYTES, size + 1 - read.tell())):
        read.write(block)
        alive()
    return read.getvalue()


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Return what tells two versions of a file apart. Its ctime is the kernel's, which no program sets back."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _version_now(path: str) -> tuple[int, int] | None:
    try:
        return _version(os.stat(path))
    except OSError:
        return None


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, mtime_ns_of(status)


def _check(descriptor: int, status: os.stat_result, path: str, roots: Sequence[str], max_bytes: int) -> None:
    if status.st_nlink == 0:
        raise ImageError(FailureKind.VANISHED, "another file took its place while it was opened")
    version = _version(status)
    if not stat.S_ISREG(status.st_mode):
        what = f"no regular file, but a {_kind_of(status.st_mode)}"
        raise ImageError(FailureKind.NOT_A_FILE, what, version=version)
    real = _real_path(descriptor, path)
    if not any(real == root or _lies_below(real, root) for root in roots):
        raise ImageError(FailureKind.OUTSIDE, "a link that leads out of the archive", version=version)
    if status.st_size > max_bytes:
        what = f"{status.st_size:,} bytes; NIGHTLABEL_MAX_FILE_MB allows {max_bytes:,}"
        raise ImageError(FailureKind.TOO_LARGE, what, version=version)


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
