"""What an error does to a chunk: it goes back to the queue, and the process or the worker ends where it must."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from billiard.pool import EX_RECYCLE
from celery.exceptions import Reject, SoftTimeLimitExceeded

from common.errors import ArchiveError, DatabaseBusyError, DatabaseError, EngineError, ModelError
from storage.chunk_claims import clear_suspect, release_claim
from worker.log_fields import chunk_fields

if TYPE_CHECKING:
    from broker.message import ChunkMessage
    from storage.chunk_claims import Claim
    from worker.process import WorkerProcess

logger = logging.getLogger(__name__)

#: Seconds before a chunk that this worker could not take or store goes back to the queue.
PAUSE_S = 5


class ReplaceProcess(SystemExit):
    """Ends a labelling process in good order, since its state is not to be trusted; its chunk goes back to the queue.

    Raised out of a task, it is the task's result, and then the process's end. Source: billiard 4.3, `Worker.workloop`.
    """

    def __init__(self, reason: str, *, has_answered: bool = False) -> None:
        super().__init__(EX_RECYCLE)
        self.reason = reason
        self.has_answered = has_answered  #: whether its engine has answered for any picture since the process started


def requeue(
    process: WorkerProcess, message: ChunkMessage, claimed: Claim | None, error: Exception
) -> Reject | ReplaceProcess:
    """Prepare a chunk for its next start; return what the task must raise, so that Celery puts it back on the queue.

    Without that, Celery would acknowledge the chunk as a task that failed, and it would be lost until somebody
    reconciles.

    Args:
        process: this one.
        message: that named the chunk.
        claimed: the chunk; None, where it could not be claimed.
        error: over which it could not be labelled or stored.

    """
    if isinstance(error, SoftTimeLimitExceeded):
        return _after_time_limit(process, message, claimed, error)
    if isinstance(error, EngineError):
        return _replace_process(process, message, error, str(error))
    if isinstance(error, ArchiveError | DatabaseError | ModelError):
        return _later(process, message, claimed, error)
    return _replace_process(process, message, error, f"{type(error).__name__}: {error}")


def _after_time_limit(
    process: WorkerProcess, message: ChunkMessage, claimed: Claim | None, error: SoftTimeLimitExceeded
) -> Reject:
    with suppress(DatabaseError):  # then the suspicion stays; it takes a second one to fail an image
        if claimed:
            clear_suspect(process.database, claimed)
    logger.warning(
        "%s was not done within the time limit; it is retried image by image",
        message,
        extra={"action": "chunk_timed_out", **chunk_fields(claimed or message)},
    )
    return Reject(error, requeue=True)


def _later(process: WorkerProcess, message: ChunkMessage, claimed: Claim | None, error: Exception) -> Reject:
    logger.error(
        "%s goes back to the queue in %d s. %s",
        message,
        PAUSE_S,
        error,
        extra={"action": "chunk_requeued", "error": str(error), **chunk_fields(claimed or message)},
    )
    if isinstance(error, DatabaseError) and not isinstance(error, DatabaseBusyError):
        process.shut_down_worker(error)
    with suppress(DatabaseError, SoftTimeLimitExceeded):  # then it is image by image from here on
        time.sleep(PAUSE_S)
        if claimed:
            release_claim(process.database, claimed)
    return Reject(error, requeue=True)


def _replace_process(process: WorkerProcess, message: ChunkMessage, error: Exception, reason: str) -> ReplaceProcess:
    """Give the chunk back and end this process; of an error that nobody foresaw, log the traceback too."""
    logger.error(
        "%s goes back to the queue, and this process is replaced: %s",
        message,
        reason,
        exc_info=None if isinstance(error, EngineError) else error,
        extra={"action": "process_replaced", "error": reason, **chunk_fields(message)},
    )
    return ReplaceProcess(reason, has_answered=process.has_answered)
