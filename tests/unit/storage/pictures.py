"""Pictures of people's corrections: labelled by models that know ImageNet's classes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from storage.chunk_claims import claim
from storage.identity import database_identity
from storage.manifest import add_images
from storage.outcomes import Stored, store
from storage.records import ImageRef, Outcome
from storage.runs import open_run
from tests.unit.storage.nights import MODEL, failure, take
from vocabulary.kinds import classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.database import Database
    from storage.records import Model, Run

OTHER_MODEL = replace(MODEL, architecture="mobilenet_v2")
#: A label that a model gives, and the kind with the largest sum.
Says = tuple[str, str | None]
TABBY: Says = ("tabby", "cat")
RETRIEVER: Says = ("golden retriever", "dog")


def content_of(name: str) -> str:
    """Return what `outcomes.content` holds of bytes that are told by a name here."""
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def label_as(
    database: Database,
    said: Mapping[str, Says | None],
    model: Model = MODEL,
    *,
    contents: Mapping[str, str | None] | None = None,
) -> Run:
    """Label images, as a run of their own; those of which nothing is said fail.

    `contents` are hashes by path; where there is none, it is the hash of the path.
    """
    hashes = contents or {}
    run, _ = open_run(
        database,
        model,
        engine="openvino",
        roots=["/photos"],
        filters={},
        labels=[one.label for one in classes()],
    )
    add_images(database, run, [ImageRef(path, 1, 1) for path in said], chunk_size=64, relabel=True)
    for chunk in take(database, run):
        claimed = claim(database, database_identity(database), chunk.id, chunk.attempt, "host-1/1")
        assert claimed
        outcomes = []
        for image in claimed.images:
            says = said[image.path]
            if says is None:
                outcomes.append(failure(image.image_id))
                continue
            label, kind = says
            outcomes.append(
                Outcome(
                    image_id=image.image_id,
                    labels=((label, 0.75),),
                    kind=kind,
                    kind_score=0.9 if kind else None,
                    things=((kind, 0.9),) if kind else (),
                    content=hashes.get(image.path, content_of(ascii(image.path))),
                )
            )
        assert store(database, claimed, outcomes, "host-1/1") is Stored.DONE
    return run
