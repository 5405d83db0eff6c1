"""From an image's location to its bytes, whatever the kind of place it lies in.

Images are read ahead while the processor decodes and classifies, so that a share which takes 20 ms a file does not
keep a core waiting.
"""

from __future__ import annotations

import hashlib
from collections import deque
from functools import partial
from itertools import islice
from time import perf_counter, sleep
from typing import TYPE_CHECKING, NamedTuple

from archive.blocking import Call, CallThreads
from archive.contents import CONTENT_BYTES
from archive.failures import FailureKind, ImageError
from archive.location import lies_below, lies_in
from archive.places import place_of
from common.errors import ArchiveError
from common.settings import SILENT_S
from storage.records import ChunkImage, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archive.blocking import Heartbeat

#: Kinds of which an archive that is gone would leave one for every image; a file that is open when its root is renamed
#: lies outside of it.
_MAYBE_ROOT_IS_GONE = (FailureKind.VANISHED, FailureKind.UNREADABLE, FailureKind.OUTSIDE)
#: Seconds before an image is tried again that a disk or a network just failed to give.
RETRY_PAUSES_S = (0.1, 0.4, 1.0)

#: Images that are read at once, ahead of the one that is decoded. 8 in 20 ms are 400 a second: more than a core uses.
READ_AHEAD_FILES = 8
#: Larger ones are read when it is their turn, so that reading ahead holds at most 8 × 8 MB.
READ_AHEAD_MAX_BYTES = 8_000_000


class ImageFile(NamedTuple):
    """What was read, and which version of the image it was."""

    data: bytes
    size: int
    mtime_ns: int
    content: str  #: blake2b, 128 bits in hexadecimal, of its bytes
    read_ms: float

    def is_version(self, size: int | None, mtime_ns: int | None, content: str | None) -> bool:
        """Tell whether these are the bytes that were labelled: another picture may have the same size and time.

        Without a content, as of what was labelled before contents were noted, size and time must do.
        """
        return (self.size, self.mtime_ns) == (size, mtime_ns) if content is None else self.content == content


class Reader:
    """Reads a chunk's images, a few of them ahead, with threads that do nothing but wait for the disk.

    A read that gives no byte for `silent_s` is abandoned with its thread: nothing can end a call that waits in the
    kernel. Each root has threads of its own, so that a share which is dead keeps no other one waiting.
    """

    def __init__(self, max_bytes: int, silent_s: float = SILENT_S) -> None:
        self._max_bytes = max_bytes
        self._silent_s = silent_s
        self._threads: dict[str, CallThreads] = {}
        self._root_checks: dict[str, Call[str | None]] = {}

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
                    self._threads_for(image.path, roots).submit(reading)
                    waiting.append((image, reading))
                if not waiting:
                    return
                image, reading = waiting.popleft()
                yield image, partial(self._result, image.path, roots, reading)
        finally:
            for image, reading in waiting:
                self._threads_for(image.path, roots).abandon(reading)

    def read(self, location: str, roots: Sequence[str]) -> ImageFile:
        """Return one image's bytes.

        Raises:
            ImageError: it cannot be read, or its disk does not answer.
            ArchiveError: its root is gone, or does not answer either; or it lies in no place that is known here.

        """
        ((_, result),) = self.ahead([ChunkImage(0, location)], roots)
        return result()

    def _read_small(self, location: str, roots: Sequence[str], heartbeat: Heartbeat) -> ImageFile | None:
        """Return an image; None, unread, if it is not to be held in memory before its turn."""
        try:
            return _read_with_retries(location, roots, min(self._max_bytes, READ_AHEAD_MAX_BYTES), heartbeat)
        except ImageError as error:
            if error.kind is FailureKind.TOO_LARGE:
                return None
            raise

    def _result(self, location: str, roots: Sequence[str], reading: Call[ImageFile | None]) -> ImageFile:
        threads = self._threads_for(location, roots)
        try:
            return reading.result(self._silent_s) or threads.call(
                partial(_read_with_retries, location, roots, self._max_bytes), self._silent_s
            )
        except ImageError as error:
            if error.kind in _MAYBE_ROOT_IS_GONE:
                self._raise_if_gone(location, roots)
            raise
        except TimeoutError as error:
            self._raise_if_gone(location, roots)
            message = f"not read: its disk gave {error.strerror}"
            raise ImageError(FailureKind.TIMEOUT, message, is_transient=True) from None
        finally:
            threads.abandon(reading)

    def _threads_for(self, location: str, roots: Sequence[str]) -> CallThreads:
        root = next((root for root in roots if lies_below(location, root)), "")
        return self._threads.setdefault(root, CallThreads(READ_AHEAD_FILES, "read"))

    def _raise_if_gone(self, location: str, roots: Sequence[str]) -> None:
        """Blame no image for an archive that is not there.

        Raises:
            ArchiveError: it is not.

        """
        for root in roots:
            if lies_below(location, root) and (reason := self._why_gone(root)):
                raise ArchiveError(f"The archive {shown(root)} is gone: {reason}. Is its disk mounted here?")

    def _why_gone(self, root: str) -> str | None:
        check = self._root_checks.get(root)
        if check is None or check.is_done:  # else the root has not answered since it was asked before
            check = self._root_checks[root] = Call(lambda _heartbeat: place_of(root).why_gone(root))
            check.start()
        try:
            return check.result(self._silent_s)
        except TimeoutError as error:
            return f"it gives {error.strerror}"


def read_image(location: str, roots: Sequence[str], max_bytes: int, heartbeat: Heartbeat = lambda: None) -> ImageFile:
    """Return an image that lies in one of the roots, and what is known of it.

    Raises:
        ImageError: gone, unreadable, no image's file, outside of the archive, too large, or never the same for long.
        ArchiveError: it lies in no place that is known here.

    """
    # The rule for every kind of place. What links lead to is for each to check of what it opened.
    if not lies_in(location, roots):
        raise ImageError(FailureKind.OUTSIDE, "it lies outside of the archive")
    started = perf_counter()
    try:
        data, version = place_of(location).read(location, roots, max_bytes, heartbeat)
    except MemoryError:
        raise ImageError(FailureKind.TOO_LARGE, "not enough memory to read it") from None
    read_ms = (perf_counter() - started) * 1000
    content = hashlib.blake2b(data, digest_size=CONTENT_BYTES).hexdigest()
    return ImageFile(data, *version, content, read_ms)


def _read_with_retries(location: str, roots: Sequence[str], max_bytes: int, heartbeat: Heartbeat) -> ImageFile:
    """Read an image; a few times, if it is the disk or the network that fails."""
    for pause_s in RETRY_PAUSES_S:
        try:
            return read_image(location, roots, max_bytes, heartbeat)
        except ImageError as error:
            if not error.is_transient:
                raise
        sleep(pause_s)
        heartbeat()
    return read_image(location, roots, max_bytes, heartbeat)
