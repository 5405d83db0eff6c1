"""Thumbnails, from the cache or made: as much as the page may spend on them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from host.machine import available_cpus, memory_limit_mb
from storage.records import shown
from web.processes import LEAST_URGENT, LostTaskError, Processes
from web.thumbnails.cache import ThumbnailCache
from web.thumbnails.making import LOST, NoThumbnail, make_thumbnail

if TYPE_CHECKING:
    from common.settings import Settings
    from storage.image_files import LabelledFile

logger = logging.getLogger(__name__)

#: Pixels of the longer side, by name: of a tile at two pixels a CSS pixel, and of a window.
SIZES = {"small": 320, "large": 1600}
#: Processes that make them, at most; one CPU is left to others.
_MOST_PROCESSES = 2
#: Thumbnails that may wait to be made. A browser asks for six at a time.
_MOST_WAITING = 48
#: Of these processes: behind whoever labels.
NICENESS = LEAST_URGENT
#: Seconds that one may take: a picture of 100 megapixels takes a few, on a machine that labels meanwhile.
_TIMEOUT_S = 30.0


class Thumbnails:
    """Makes thumbnails in processes of their own, and keeps them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cache = ThumbnailCache(settings.cache_dir / "thumbnails", settings.web_cache_mb * 1_000_000)
        count = max(1, min(_MOST_PROCESSES, available_cpus() - 1))
        self._processes = Processes(
            count, _MOST_WAITING, memory_limit_mb(settings), NICENESS, imports=(make_thumbnail.__module__,)
        )

    async def thumbnail(self, file: LabelledFile, size: str) -> bytes | NoThumbnail:
        """Return a JPEG of the picture that was labelled, whether its file is still there or not; or why there is none.

        Args:
            file: the image's.
            size: one of `SIZES`.

        Raises:
            BusyError: too many are asked for.

        """
        if file.content and (kept := await run_in_threadpool(self._cache.get, file.content, size)):
            return kept
        try:
            made = await self._processes.run(
                _TIMEOUT_S, make_thumbnail, file, SIZES[size], self._settings.max_file_bytes, self._settings.max_pixels
            )
        except LostTaskError as error:
            logger.warning("no thumbnail of %s: %s", shown(file.path), error)
            return NoThumbnail(LOST, str(error))
        if file.content and isinstance(made, bytes):
            await run_in_threadpool(self._cache.put, file.content, size, made)
        return made

    def close(self) -> None:
        """End the processes; it takes a moment."""
        self._processes.close()
