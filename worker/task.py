"""The task: label a chunk, store it; then, and only then, Celery acknowledges it."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from billiard.pool import EX_RECYCLE
from celery.exceptions import Reject, SoftTimeLimitExceeded

from broker.message import ChunkMessage
from common.errors import ArchiveError, DatabaseBusyError, DatabaseError, DatabaseRefusedError, EngineError, ModelError
from storage.claims import claim, clear_suspicion, give_back, has_raised, note_raised, suspect
from storage.outcomes import Stored, store, store_one, stored_images

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from storage.claims import Claim
    from storage.records import ChunkImage, Outcome
    from worker.labelling import Labeller
    from worker.process import WorkerProcess

logger = logging.getLogger(__name__)

#: What `Claim.ended_by` begins with where a start took too long.
TIME_LIMIT = "time limit"
#: What `Claim.ended_by` is where the kernel killed a process, since memory was short.
OUT_OF_MEMORY = "the kernel, which killed it since this machine or container was out of memory"
#: Seconds before a chunk that this worker could not take or store goes back to the queue.
PAUSE_S = 5
#: Starts that a signal or the time limit may end with the same image, labelled alone, before it is given up.
MAX_SEEN_ENDS = 2
#: The same where nobody saw what ended them: then the whole worker died, more likely of something else.
MAX_UNSEEN_ENDS = 5
#: Processes in which the engine may raise an error on an image, labelled alone, before it is tried where others pass.
MAX_RAISES = 2


class ReplaceProcess(SystemExit):
    """Ends a labelling process in good order, since what it holds is not to be trusted; its chunk goes back.

    Raised out of a task, it is the task's result, and then the process' end. Source: billiard 4.3, `Worker.workloop`.
    """

    def __init__(self, reason: str, *, has_answered: bool = False) -> None:
        super().__init__(EX_RECYCLE)
        self.reason = reason
        self.has_answered = has_answered  #: whether its engine has answered for any picture since the process started


def label_chunk(process: WorkerProcess, *arguments: object) -> None:
    """Label a chunk's images and store their outcomes.

    Args:
        process: this one.
        arguments: of the message: `ChunkMessage.arguments`, if they are what they should be.

    Raises:
        Reject: this worker cannot do it now; the chunk goes back to the queue.
        ReplaceProcess: this process cannot; the chunk goes back to the queue, and another process takes its place.

    """
    try:
        message = ChunkMessage.of_arguments(arguments)
    except ValueError as error:
        logger.error("Dropped a message: %s", error)  # noqa: TRY400 - forged or of another version
        return
    claimed: Claim | None = None
    try:
        claimed = claim(process.database, message.database, message.chunk_id, message.attempt, process.name)
        if claimed is None:
            logger.info("%s is done, or was published again, or cancelled, or is of another database", message)
            return
        _label(process, claimed, process.labeller(claimed.run))
    except SoftTimeLimitExceeded as error:
        with suppress(DatabaseError):  # then the suspicion stays; it takes a second one to fail an image
            if claimed:
                clear_suspicion(process.database, claimed)
        logger.warning("%s was not done within the time limit; image by image from here on", message)
        raise Reject(error, requeue=True) from None  # said above; Celery writes all of a cause's traceback
    except EngineError as error:
        logger.error("%s goes back to the queue, and this process ends: %s", message, error)  # noqa: TRY400
        raise ReplaceProcess(str(error), has_answered=process.has_answered) from None
    except (ArchiveError, DatabaseError, ModelError) as error:
        logger.error("%s goes back to the queue in %d s. %s", message, PAUSE_S, error)  # noqa: TRY400
        if isinstance(error, DatabaseError) and not isinstance(error, DatabaseBusyError):
            process.end_worker(error)
        with suppress(DatabaseError, SoftTimeLimitExceeded):  # then it is image by image from here on
            time.sleep(PAUSE_S)
            if claimed:
                give_back(process.database, claimed)
        raise Reject(error, requeue=True) from None  # said above; Celery writes all of a cause's traceback
    except Exception as error:
        # Nobody foresaw it. Celery would acknowledge the chunk as one that failed, and it would be lost.
        logger.exception("%s goes back to the queue, and this process ends", message)
        raise ReplaceProcess(f"{type(error).__name__}: {error}", has_answered=process.has_answered) from None


def _label(process: WorkerProcess, claimed: Claim, labeller: Labeller) -> None:
    if claimed.starts > 1:
        logger.warning("Chunk %d was begun before and not done: now image by image", claimed.chunk_id)
        results = _label_one_by_one(process, claimed, labeller)
    else:
        with _noting_errors(process, claimed, None):
            results = {one.image_id: one for one in labeller.label(claimed.images, claimed.run.roots)}
    while (stored := _store(process, claimed, results)) is Stored.INCOMPLETE:
        # A run over the same images has taken over some that an earlier start of this chunk had stored.
        results |= _label_one_by_one(process, claimed, labeller)
    if stored is Stored.TOO_LATE:
        logger.info("Chunk %d was stored by another worker meanwhile, or is no more what it was", claimed.chunk_id)


def _store(process: WorkerProcess, claimed: Claim, results: dict[int, Outcome]) -> Stored:
    try:
        return _store_whole(process, claimed, results)
    except DatabaseRefusedError as error:
        logger.warning("Chunk %d is stored image by image. %s", claimed.chunk_id, error)
    taken = {image.image_id: image for image in claimed.images if image.image_id in results}
    for image_id, image in taken.items():
        results[image_id], is_open = _store_one(process, claimed, image, results[image_id])
        if not is_open:
            return Stored.TOO_LATE
    return _store_whole(process, claimed, results)


def _store_one(process: WorkerProcess, claimed: Claim, image: ChunkImage, outcome: Outcome) -> tuple[Outcome, bool]:
    """Store an outcome, or that the database does not take it; return which, and whether it was not too late."""
    from archive.failures import FailureKind
    from worker.labelling import failed

    try:
        return outcome, store_one(process.database, claimed, outcome, process.name)
    except DatabaseRefusedError as error:
        outcome = failed(image, FailureKind.REFUSED, str(error))
        return outcome, store_one(process.database, claimed, outcome, process.name)


def _store_whole(process: WorkerProcess, claimed: Claim, results: dict[int, Outcome]) -> Stored:
    sample, history = process.sample(), process.history()
    begun = time.perf_counter()
    stored = store(process.database, claimed, list(results.values()), sample, history)
    process.store_s += time.perf_counter() - begun
    return stored


def _label_one_by_one(process: WorkerProcess, claimed: Claim, labeller: Labeller) -> dict[int, Outcome]:
    """Store every outcome as it comes, so that an image which ends this process costs nothing but itself.

    Returns:
        The outcomes by image, once more: the chunk is whole with them, even where another run took some over meanwhile.

    """
    done = stored_images(process.database, claimed)
    outcomes: dict[int, Outcome] = {}
    images = _in_order(claimed, done)
    on_trial = next((image for image in images if _is_on_trial(claimed, image)), None)
    for image in images:
        outcome = _given_up(claimed, image)
        if outcome is None:
            suspect(process.database, claimed, image.image_id)
            others_passed = any(outcome.ok for outcome in outcomes.values())
            is_being_tried = on_trial and not others_passed and on_trial.image_id not in outcomes
            with _noting_errors(process, claimed, on_trial if is_being_tried else image):
                outcome = _label_alone(claimed, labeller, image, others_passed=others_passed)
        outcomes[image.image_id], is_open = _store_one(process, claimed, image, outcome)
        if not is_open:
            break  # another worker has stored the whole chunk meanwhile
    return outcomes


def _in_order(claimed: Claim, done: Collection[int]) -> Sequence[ChunkImage]:
    """Return the images that are not done, in the order in which they are labelled alone.

    The one on which the engine raised an error comes first, in a process that has raised none: was it the image, or the
    process? Where it raised again, it comes last: do the others pass here? Where none of them did, it comes first once
    more, behind a grey picture: they may be to blame too, and would keep each other from being tried for ever.
    """
    images = [image for image in claimed.images if image.image_id not in done]
    place = next((place for place, image in enumerate(images) if image.image_id == claimed.suspect_id), None)
    if place is None or not has_raised(claimed.ended_by):
        return images
    if claimed.suspect_starts == MAX_RAISES:
        return *images[place + 1 :], *images[: place + 1]
    return *images[place:], *images[:place]


def _is_on_trial(claimed: Claim, image: ChunkImage) -> bool:
    """Tell whether the engine raised an error on this image alone in as many processes as it takes to suspect it."""
    is_suspect = image.image_id == claimed.suspect_id and has_raised(claimed.ended_by)
    return is_suspect and claimed.suspect_starts >= MAX_RAISES


def _label_alone(claimed: Claim, labeller: Labeller, image: ChunkImage, *, others_passed: bool) -> Outcome:
    """Label one image; blame it where the engine raises on it once more, in a process in which others pass."""
    from archive.failures import FailureKind
    from worker.labelling import failed

    is_on_trial = _is_on_trial(claimed, image)
    if is_on_trial and not others_passed:
        labeller.check()
    try:
        (outcome,) = labeller.label([image], claimed.run.roots)
    except EngineError as error:
        if not is_on_trial:
            raise
        processes = MAX_RAISES + 1
        return failed(image, FailureKind.ENGINE, f"{error}, in each of {processes} processes; on this image alone")
    return outcome


@contextmanager
def _noting_errors(process: WorkerProcess, claimed: Claim, image: ChunkImage | None) -> Iterator[None]:
    """Note, for the next start, an error that is neither an image's nor the archive's; `image`: the one to suspect."""
    try:
        yield
    except (ArchiveError, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
        with suppress(DatabaseError):
            note_raised(process.database, claimed, image and image.image_id, reason)
        raise


def _given_up(claimed: Claim, image: ChunkImage) -> Outcome | None:
    """Return the outcome of an image that ended the worker too often; None for any other."""
    from archive.failures import FailureKind
    from worker.labelling import failed

    starts, ended_by = claimed.suspect_starts, claimed.ended_by
    if image.image_id != claimed.suspect_id or has_raised(ended_by):
        return None
    if starts < (MAX_SEEN_ENDS if ended_by else MAX_UNSEEN_ENDS):
        return None
    if ended_by is None:
        error = f"{starts} starts that labelled this image alone did not end, and nobody saw why"
        return failed(image, FailureKind.POISON, error)
    ended = f"the worker was ended {starts} times while it labelled this image alone, the last time by"
    if ended_by.startswith(TIME_LIMIT):
        return failed(image, FailureKind.TIMEOUT, f"{ended} the {ended_by}")
    kind = FailureKind.TOO_LARGE if ended_by == OUT_OF_MEMORY else FailureKind.POISON
    return failed(image, kind, f"{ended} {ended_by}")
