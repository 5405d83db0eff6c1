"""Storing a chunk: whole, or image by image where the database refuses a value of one of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from archive.failures import FailureKind
from common.errors import DatabaseRefusedError
from storage.outcomes import Stored, store, store_one
from worker.failed_outcome import failed
from worker.log_fields import chunk_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.chunk_claims import Claim
    from storage.records import ChunkImage, Outcome
    from storage.samples import ChunkRow
    from worker.process import WorkerProcess

logger = logging.getLogger(__name__)


def store_chunk(
    process: WorkerProcess, claimed: Claim, outcomes: dict[int, Outcome], rows: Sequence[ChunkRow]
) -> Stored:
    """Store a chunk's outcomes and mark it done; a value that the database refuses costs its image, not the chunk.

    Args:
        process: this one.
        claimed: the chunk.
        outcomes: by image id; those that the database refused are replaced by failures.
        rows: what is stored in the same transaction.

    """
    try:
        return _store(process, claimed, outcomes, rows)
    except DatabaseRefusedError as error:
        logger.warning(
            "Chunk %d is stored image by image. %s",
            claimed.chunk_id,
            error,
            extra={"action": "chunk_stored_singly", "error": str(error), **chunk_fields(claimed)},
        )
    for image in claimed.images:
        if image.image_id in outcomes:
            outcomes[image.image_id], is_open = store_image(process, claimed, image, outcomes[image.image_id])
            if not is_open:
                return Stored.TOO_LATE
    try:
        return _store(process, claimed, outcomes, rows)
    except DatabaseRefusedError as error:  # it has taken every outcome by now: what it refuses is one of the rows
        logger.error(  # noqa: TRY400 - the sentence says it all
            "Chunk %d is stored without its samples. %s",
            claimed.chunk_id,
            error,
            extra={"action": "rows_refused", "error": str(error), **chunk_fields(claimed)},
        )
        return _store(process, claimed, outcomes, ())


def store_image(process: WorkerProcess, claimed: Claim, image: ChunkImage, outcome: Outcome) -> tuple[Outcome, bool]:
    """Store an outcome, or a failure where the database refuses it; return which, and whether it was not too late."""
    try:
        return outcome, store_one(process.database, claimed, outcome, process.name)
    except DatabaseRefusedError as error:
        outcome = failed(image, FailureKind.REFUSED, str(error))
        return outcome, store_one(process.database, claimed, outcome, process.name)


def _store(process: WorkerProcess, claimed: Claim, outcomes: dict[int, Outcome], rows: Sequence[ChunkRow]) -> Stored:
    return store(process.database, claimed, list(outcomes.values()), process.name, rows)
