"""A middleware that logs what became of each chunk."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING

from storage.outcomes import Stored
from worker.chunk_middleware import ChunkMiddleware
from worker.log_fields import chunk_fields

if TYPE_CHECKING:
    from storage.chunk_claims import Claim
    from worker.chunk_middleware import ChunkResult

logger = logging.getLogger(__name__)


class ChunkLog(ChunkMiddleware):
    """Says of each chunk that it was stored, or why it was not."""

    def __init__(self) -> None:
        self._begun = 0.0

    def before(self, claimed: Claim) -> None:  # noqa: ARG002 - the contract's
        self._begun = perf_counter()

    def after(self, claimed: Claim, result: ChunkResult) -> None:
        total_s = perf_counter() - self._begun
        if result.stored is Stored.TOO_LATE:
            logger.info(
                "Chunk %d was stored by another worker in the meantime, or has changed; nothing was stored",
                claimed.chunk_id,
                extra={"action": "chunk_superseded", **chunk_fields(claimed)},
            )
            return
        failed = sum(not outcome.ok for outcome in result.outcomes)
        logger.info(
            "Chunk %d of run %d is stored after %.2f s: %d images, %d of which failed",
            claimed.chunk_id,
            claimed.run.id,
            total_s,
            len(claimed.images),
            failed,
            extra={
                "action": "chunk_stored",
                "images": len(claimed.images),
                "failed": failed,
                "total_ms": total_s * 1000,
                "store_ms": result.store_s * 1000,
                "queue_ms": claimed.queue_ms,
                **chunk_fields(claimed),
            },
        )
