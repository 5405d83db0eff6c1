"""The task: label a chunk, store it; then, and only then, Celery acknowledges it."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from celery.exceptions import Reject, SoftTimeLimitExceeded

from common.errors import DatabaseBusyError, DatabaseError, ModelError
from storage.outcomes import claim, clear_suspicion, store, store_one, stored_images, suspect
from storage.records import ChunkImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.outcomes import Claim
    from storage.records import Run
    from worker.labelling import Labeller
    from worker.process import WorkerProcess

logger = logging.getLogger(__name__)

#: Seconds before a chunk that this worker could not take or store goes back to the queue.
PAUSE_S = 5
#: Starts that may end with the same image, labelled alone, before it is given up as poison.
MAX_SUSPECT_STARTS = 2


def label_chunk(
    process: WorkerProcess, run_id: int, chunk_id: int, attempt: int, images: Sequence[tuple[int, str]]
) -> None:
    """Label a chunk's images and store their outcomes.

    Raises:
        Reject: this worker cannot do it now; the chunk goes back to the queue.

    """
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
        _exonerate(process, chunk_id)
        logger.warning("Chunk %d was not done within the time limit; image by image from here on", chunk_id)
        raise Reject(error, requeue=True) from error
    except (DatabaseError, ModelError) as error:
        logger.error("Chunk %d goes back to the queue in %d s. %s", chunk_id, PAUSE_S, error)  # noqa: TRY400
        if isinstance(error, DatabaseError) and not isinstance(error, DatabaseBusyError):
            process.end_worker(error)
        time.sleep(PAUSE_S)
        _exonerate(process, chunk_id)
        raise Reject(error, requeue=True) from error


def _exonerate(process: WorkerProcess, chunk_id: int) -> None:
    """Blame no image for a start that ended in good order."""
    with suppress(DatabaseError):  # then the suspicion stays; it takes a second one to fail an image
        clear_suspicion(process.database, chunk_id)


def _label(process: WorkerProcess, run: Run, claimed: Claim, labeller: Labeller, images: Sequence[ChunkImage]) -> None:
    if claimed.starts > 1:
        logger.warning("Chunk %d was begun before and not done: now image by image", claimed.chunk_id)
        _label_one_by_one(process, run, claimed, labeller, images)
        results = []
    else:
        results = labeller.label(images, run.roots)
    if not store(process.database, run, claimed, results, process.sample()):
        logger.info("Chunk %d was stored by another worker meanwhile", claimed.chunk_id)


def _label_one_by_one(
    process: WorkerProcess, run: Run, claimed: Claim, labeller: Labeller, images: Sequence[ChunkImage]
) -> None:
    """Store every outcome as it comes, so that an image which ends this process costs nothing but itself."""
    from worker.failures import FailureKind
    from worker.labelling import failed

    done = stored_images(process.database, run, claimed.chunk_id)
    for image in images:
        if image.image_id in done:
            continue
        if image.image_id == claimed.suspect_id and claimed.suspect_starts >= MAX_SUSPECT_STARTS:
            message = f"the worker died {claimed.suspect_starts} times while it labelled this image alone"
            outcome = failed(image, FailureKind.POISON, message)
        else:
            suspect(process.database, claimed, image.image_id)
            (outcome,) = labeller.label([image], run.roots)
        if not store_one(process.database, run, claimed, outcome, process.name):
            return  # another worker has stored the whole chunk meanwhile
