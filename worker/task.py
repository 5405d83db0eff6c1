"""The task: label a chunk, store it; then, and only then, Celery acknowledges it."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING

from broker.message import ChunkMessage
from storage.chunk_claims import claim
from storage.outcomes import Stored
from worker.chunk_errors import requeue
from worker.chunk_middleware import ChunkResult
from worker.label_once import label_once
from worker.log_fields import chunk_fields
from worker.single_images import label_one_by_one, recording_errors
from worker.storing import store_chunk

if TYPE_CHECKING:
    from storage.chunk_claims import Claim
    from storage.records import Outcome
    from worker.chunk_middleware import MiddlewareStack
    from worker.labelling import Labeller
    from worker.process import WorkerProcess

logger = logging.getLogger(__name__)


def label_chunk(process: WorkerProcess, middleware: MiddlewareStack, *arguments: object) -> None:
    """Load the model, label a chunk's images, and store their outcomes.

    Args:
        process: this one.
        middleware: what hangs beside the chunk.
        arguments: of the message: `ChunkMessage.arguments`, if they are what they should be.

    Raises:
        Reject: this worker cannot do it now; the chunk goes back to the queue.
        ReplaceProcess: this process cannot; the chunk goes back to the queue, and another process takes its place.

    """
    message = _message_of(arguments)
    if message is None:
        return
    claimed: Claim | None = None
    try:
        claimed = _claim(process, message)
        if claimed:
            middleware.before(claimed)
            labeller = process.labeller(claimed.run)
            outcomes = _label(process, claimed, labeller)
            result = _store(process, middleware, claimed, labeller, outcomes)
            middleware.after(claimed, result)
    except Exception as error:  # noqa: BLE001 - whatever it is, the chunk goes back
        middleware.failed(claimed or message, error)
        raise requeue(process, message, claimed, error) from None  # logged there; Celery would write all of its cause


def _message_of(arguments: tuple[object, ...]) -> ChunkMessage | None:
    try:
        return ChunkMessage.of_arguments(arguments)
    except ValueError as error:
        logger.error(  # noqa: TRY400 - forged or of another version
            "Dropped a message: %s", error, extra={"action": "message_dropped", "error": str(error)}
        )
        return None


def _claim(process: WorkerProcess, message: ChunkMessage) -> Claim | None:
    claimed = claim(process.database, message.database, message.chunk_id, message.attempt, process.name)
    if claimed is None:
        logger.info(
            "%s is skipped: it is done, was published again, was cancelled, or belongs to another database",
            message,
            extra={"action": "chunk_skipped", **chunk_fields(message)},
        )
    return claimed


def _label(process: WorkerProcess, claimed: Claim, labeller: Labeller) -> dict[int, Outcome]:
    """Return outcomes by image id: of all images, or, of a chunk that is retried, of those that were not stored."""
    if claimed.starts > 1:
        logger.warning(
            "Chunk %d was started before and not done: it is retried image by image",
            claimed.chunk_id,
            extra={"action": "chunk_retried", "starts": claimed.starts, **chunk_fields(claimed)},
        )
        return label_one_by_one(process, claimed, labeller)
    with recording_errors(process, claimed, None):
        return {one.image_id: one for one in label_once(process.database, claimed, labeller)}


def _store(
    process: WorkerProcess,
    middleware: MiddlewareStack,
    claimed: Claim,
    labeller: Labeller,
    outcomes: dict[int, Outcome],
) -> ChunkResult:
    rows = middleware.rows(claimed)
    store_s = 0.0
    while True:
        begun = perf_counter()
        stored = store_chunk(process, claimed, outcomes, rows)
        store_s += perf_counter() - begun
        if stored is not Stored.INCOMPLETE:
            return ChunkResult(stored=stored, outcomes=tuple(outcomes.values()), store_s=store_s)
        # A run over the same images has superseded outcomes that an earlier start of this chunk had stored.
        outcomes |= label_one_by_one(process, claimed, labeller)
