"""Retrying a chunk image by image: one that ends its process is found, and costs nothing but itself.

Each image is computed, though its bytes may have labels: such chunks are rare, and what is to be found out is what
happens when this image is decoded and classified.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from celery.exceptions import SoftTimeLimitExceeded

from archive.failures import FailureKind
from common.errors import ArchiveError, DatabaseError, EngineError
from storage.chunk_claims import mark_suspect, record_error, was_exception
from storage.outcomes import stored_images
from worker.failed_outcome import failed
from worker.storing import store_image

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from storage.chunk_claims import Claim
    from storage.records import ChunkImage, Outcome
    from worker.labelling import Labeller
    from worker.process import WorkerProcess

#: What `Claim.crash_cause` begins with where a start took too long.
TIME_LIMIT = "time limit"
#: What `Claim.crash_cause` is where the kernel killed a process, since memory was short.
OUT_OF_MEMORY = "the kernel, which killed it since this machine or container was out of memory"
#: Starts that a signal or the time limit may end with the same image, labelled alone, before it is given up.
MAX_SEEN_CRASHES = 2
#: The same where nobody saw what ended them: then the whole worker died, more likely of something else.
MAX_UNSEEN_CRASHES = 5
#: Processes in which the engine may raise an error on an image, labelled alone, before it is tried where others pass.
MAX_ENGINE_ERRORS = 2


def label_one_by_one(process: WorkerProcess, claimed: Claim, labeller: Labeller) -> dict[int, Outcome]:
    """Label the images that are not stored, each alone, and store every outcome as it comes.

    Returns:
        The outcomes by image id, once more: the chunk is whole with them, even where another run has superseded some in
        the meantime.

    """
    done = stored_images(process.database, claimed)
    outcomes: dict[int, Outcome] = {}
    images = _in_order(claimed, done)
    on_trial = next((image for image in images if _is_on_trial(claimed, image)), None)
    for image in images:
        outcome = _crashed(claimed, image)
        if outcome is None:
            mark_suspect(process.database, claimed, image.image_id)
            others_passed = any(outcome.ok for outcome in outcomes.values())
            is_being_tried = on_trial and not others_passed and on_trial.image_id not in outcomes
            with recording_errors(process, claimed, on_trial if is_being_tried else image):
                outcome = _label_alone(claimed, labeller, image, others_passed=others_passed)
        outcomes[image.image_id], is_open = store_image(process, claimed, image, outcome)
        if not is_open:
            break  # another worker has stored the whole chunk in the meantime
    return outcomes


@contextmanager
def recording_errors(process: WorkerProcess, claimed: Claim, image: ChunkImage | None) -> Iterator[None]:
    """Note, for the next start, an error that is no image's, the archive's or the database's.

    Args:
        process: this one.
        claimed: the chunk.
        image: the one to suspect.

    """
    try:
        yield
    except (ArchiveError, DatabaseError, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
        with suppress(DatabaseError):
            record_error(process.database, claimed, image and image.image_id, reason)
        raise


def _in_order(claimed: Claim, done: Collection[int]) -> Sequence[ChunkImage]:
    """Return the images that are not done, in the order in which they are labelled alone.

    The one on which the engine raised an error comes first, in a process that has raised none: was it the image, or the
    process? Where it raised again, it comes last: do the others pass here? Where none of them did, it comes first once
    more, behind a grey picture: they may be to blame too, and would keep each other from being tried for ever.
    """
    images = [image for image in claimed.images if image.image_id not in done]
    place = next((place for place, image in enumerate(images) if image.image_id == claimed.suspect_id), None)
    if place is None or not was_exception(claimed.crash_cause):
        return images
    if claimed.suspect_starts == MAX_ENGINE_ERRORS:
        return *images[place + 1 :], *images[: place + 1]
    return *images[place:], *images[:place]


def _is_on_trial(claimed: Claim, image: ChunkImage) -> bool:
    """Tell whether the engine raised an error on this image alone in as many processes as it takes to suspect it."""
    is_suspect = image.image_id == claimed.suspect_id and was_exception(claimed.crash_cause)
    return is_suspect and claimed.suspect_starts >= MAX_ENGINE_ERRORS


def _label_alone(claimed: Claim, labeller: Labeller, image: ChunkImage, *, others_passed: bool) -> Outcome:
    """Label one image; blame it where the engine raises on it once more, in a process in which others pass."""
    is_on_trial = _is_on_trial(claimed, image)
    if is_on_trial and not others_passed:
        labeller.check()
    try:
        (outcome,) = labeller.label([image], claimed.run.roots)
    except EngineError as error:
        if not is_on_trial:
            raise
        processes = MAX_ENGINE_ERRORS + 1
        return failed(image, FailureKind.ENGINE, f"{error}, in each of {processes} processes; on this image alone")
    return outcome


def _crashed(claimed: Claim, image: ChunkImage) -> Outcome | None:
    """Return the outcome of an image that crashed its process too often; None for any other."""
    starts, cause = claimed.suspect_starts, claimed.crash_cause
    if image.image_id != claimed.suspect_id or was_exception(cause):
        return None
    if starts < (MAX_SEEN_CRASHES if cause else MAX_UNSEEN_CRASHES):
        return None
    if cause is None:
        error = f"{starts} starts that labelled this image alone did not end, and nobody saw why"
        return failed(image, FailureKind.POISON, error)
    ended = f"the worker was ended {starts} times while it labelled this image alone, the last time by"
    if cause.startswith(TIME_LIMIT):
        return failed(image, FailureKind.TIMEOUT, f"{ended} the {cause}")
    kind = FailureKind.TOO_LARGE if cause == OUT_OF_MEMORY else FailureKind.POISON
    return failed(image, kind, f"{ended} {cause}")
