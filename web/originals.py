"""The files themselves, as many at a time as memory allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from archive.reading import Reader
from web.processes import BusyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from archive.reading import ImageFile
    from common.settings import Settings
    from storage.image_files import LabelledFile

#: Files that are read or sent at a time: each is held whole, so that what is sent is what was checked.
_MOST = 4
#: Seconds without a byte after which a disk is not waited for any longer.
_SILENT_S = 5.0
_BLOCK_BYTES = 256_000


class Originals:
    """Reads originals by the archive's rules, a few at a time."""

    def __init__(self, settings: Settings) -> None:
        self._reader = Reader(settings.max_file_bytes, _SILENT_S)
        self._held = 0

    async def read(self, file: LabelledFile) -> ImageFile:
        """Return a file, which counts as held until it is released.

        Raises:
            BusyError: too many are held.
            ImageError: it cannot be read.
            ArchiveError: its root is gone.

        """
        if self._held >= _MOST:
            raise BusyError
        self._held += 1
        try:
            return await run_in_threadpool(self._reader.read, file.path, file.roots)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        self._held -= 1


class OriginalResponse(StreamingResponse):
    """Sends a file, and says when it is not held any more: sent, or given up by the browser."""

    def __init__(self, data: bytes, headers: Mapping[str, str], media_type: str, release: Callable[[], None]) -> None:
        super().__init__(_blocks(data), headers={**headers, "Content-Length": f"{len(data)}"}, media_type=media_type)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


async def _blocks(data: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(data), _BLOCK_BYTES):
        yield data[begin : begin + _BLOCK_BYTES]
