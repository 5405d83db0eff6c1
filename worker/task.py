"""The task: label a chunk, store it; then, and only then, Celery acknowledges it."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from celery.exceptions import Reject, SoftTimeLimitExceeded

from common.errors import ArchiveError, DatabaseBusyError, DatabaseError, ModelError
from storage.outcomes import claim, clear_suspicion, give_back, store, store_one, stored_images, suspect
from storage.records import ChunkImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.outcomes import Claim
    from storage.records import Outcome, Run
    from worker.labelling import Labeller
    from worker.process import WorkerProcess

logger = logging.getLogger(__name__)

#: What `Claim.ended_by` begins with where a start took too long.
TIME_LIMIT = "time limit"
#: Seconds before a chunk that this worker could not take or store goes back to the queue.
PAUSE_S = 5
#: Starts that a signal or the time limit may end with the same image, labelled alone, before it is given up.
MAX_SEEN_ENDS = 2
#: The same where nobody saw what ended them: then the whole worker died, more likely of something else.
MAX_UNSEEN_ENDS = 5


def label_chunk(
    process: WorkerProcess, run_id: int, chunk_id: int, attempt: int, images: Sequence[tuple[int, str]]
) -> None:
    """Label a chunk's images and store their outcomes.

    Raises:
        Reject: this worker cannot do it now; the chunk goes back to the queue.

    """
    claimed: Claim | None = None
    try:
        run = process.run(run_id)
        if run is None:
            logger.error("Run %d is not in the database %s: dropped its chunk", run_id, process.database.shown)
            return
        labeller = process.labeller(run)
        claimed = claim(process.database, chunk_id, attempt, process.name)
        if claimed is None:
            logger.info("Chunk %d is done, or was published again since attempt %d", chunk_id, attempt)
            return
        _label(process, run, claimed, labeller, [ChunkImage(*image) for image in images])
    except SoftTimeLimitExceeded as error:
        with suppress(DatabaseError):  # then the suspicion stays; it takes a second one to fail an image
            clear_suspicion(process.database, chunk_id)
        logger.warning("Chunk %d was not done within the time limit; image by image from here on", chunk_id)
        raise Reject(error, requeue=True) from None  # said above; Celery writes all of a cause's traceback
    except (ArchiveError, DatabaseError, ModelError) as error:
        logger.error("Chunk %d goes back to the queue in %d s. %s", chunk_id, PAUSE_S, error)  # noqa: TRY400
        if isinstance(error, DatabaseError) and not isinstance(error, DatabaseBusyError):
            process.end_worker(error)
        time.sleep(PAUSE_S)
        if claimed:
            with suppress(DatabaseError):  # then it is image by image from here on
                give_back(process.database, claimed)
        raise Reject(error, requeue=True) from None  # said above; Celery writes all of a cause's traceback


def _label(process: WorkerProcess, run: Run, claimed: Claim, labeller: Labeller, images: Sequence[ChunkImage]) -> None:
    if claimed.starts > 1:
        logger.warning("Chunk %d was begun before and not done: now image by image", claimed.chunk_id)
        _label_one_by_one(process, run, claimed, labeller, images)
        results = []
    else:
        results = labeller.label(images, run.roots)
    sample, history = process.sample(), process.history()
    begun = time.perf_counter()
    stored = store(process.database, run, claimed, results, sample, history)
    process.store_s += time.perf_counter() - begun
    if not stored:
        logger.info("Chunk %d was stored by another worker meanwhile", claimed.chunk_id)


def _label_one_by_one(
    process: WorkerProcess, run: Run, claimed: Claim, labeller: Labeller, images: Sequence[ChunkImage]
) -> None:
    """Store every outcome as it comes, so that an image which ends this process costs nothing but itself."""
    done = stored_images(process.database, run, claimed.chunk_id)
    for image in images:
        if image.image_id in done:
            continue
        outcome = _given_up(claimed, image)
        if outcome is None:
            suspect(process.database, claimed, image.image_id)
            (outcome,) = labeller.label([image], run.roots)
        if not store_one(process.database, run, claimed, outcome, process.name):
            return  # another worker has stored the whole chunk meanwhile


def _given_up(claimed: Claim, image: ChunkImage) -> Outcome | None:
    """Return the outcome of an image that ended the worker too often; None for any other."""
    from worker.failures import FailureKind
    from worker.labelling import failed

    most = MAX_SEEN_ENDS if claimed.ended_by else MAX_UNSEEN_ENDS
    if image.image_id != claimed.suspect_id or claimed.suspect_starts < most:
        return None
    times = f"{claimed.suspect_starts} times while it labelled this image alone"
    if claimed.ended_by and claimed.ended_by.startswith(TIME_LIMIT):
        return failed(image, FailureKind.TIMEOUT, f"the worker was ended by the {claimed.ended_by} {times}")
    return failed(image, FailureKind.POISON, f"the worker died {times}: {claimed.ended_by or 'nobody saw of what'}")
