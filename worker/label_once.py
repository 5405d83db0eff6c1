"""A chunk's way through the labeller, on which the same bytes are computed once, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.copies import Copies

if TYPE_CHECKING:
    from storage.chunk_claims import Claim
    from storage.database import Database
    from storage.records import Outcome
    from worker.labelling import Labeller


def label_once(database: Database, claimed: Claim, labeller: Labeller) -> list[Outcome]:
    """Return one outcome per image of a chunk, in no particular order; of the same bytes, one is computed, or none.

    Raises:
        SoftTimeLimitExceeded: as `Labeller.label` does.

    """
    images, roots = claimed.images, claimed.run.roots
    if claimed.run.reuse == "never":
        return labeller.label(images, roots)
    copies = Copies.of_chunk(database, claimed)
    outcomes = labeller.label(images, roots, copies)
    outcomes += copies.outcomes(outcomes, database, claimed)
    done = {outcome.image_id for outcome in outcomes}
    # A label whose bytes have changed meanwhile is nobody's.
    return outcomes + labeller.label([image for image in images if image.image_id not in done], roots)
