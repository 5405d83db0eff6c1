"""Two runs of one model over the same images, one labels image by image: each ends with all of its outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import worker.storing
from storage.chunk_claims import claim
from storage.identity import database_identity
from storage.manifest import add_images, mark_published
from storage.outcomes import store_one
from storage.records import ImageRef
from storage.runs import get_run, open_run, progress
from storage.schema_version import ensure_schema
from tests.processes import NO_PROCESS
from worker.chunk_middleware import MiddlewareStack
from worker.process import WorkerProcess
from worker.task import label_chunk

if TYPE_CHECKING:
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.database import Database

IMAGES = 5


@pytest.mark.parametrize("stored_before", [0, 1])
def test_a_run_whose_images_another_one_takes_over_meanwhile_misses_none(
    stored_before: int,
    settings: Settings,
    resnet18: ReadyModel,
    photos: Path,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other run labels them all after the first one has stored its second; by it, or by a start before."""
    ensure_schema(database)
    identity = database_identity(database)
    root = str(photos.resolve())
    refs = [ImageRef(str(path.resolve()), 1, 1) for path in sorted(photos.glob("*.jpg"))[:IMAGES]]
    chunks = []
    for filters in ({}, {"include": ["*.jpg"]}):
        run, _ = open_run(database, resnet18.model, engine=resnet18.engine, roots=[root], filters=filters)
        add_images(database, run, refs, chunk_size=IMAGES, relabel=False)
        chunks += mark_published(database, run.id, 1)
    slow, other = chunks
    url = database.url.render_as_string(hide_password=False)
    process = WorkerProcess(settings.model_copy(update={"database_url": url}), main_pid=NO_PROCESS)
    claimed = claim(database, identity, slow.id, slow.attempt, "killed")  # from here on it is image by image
    assert claimed
    for image in claimed.images[:stored_before]:
        (outcome,) = process.labeller(claimed.run).label([image], [root])
        assert store_one(database, claimed, outcome, "killed")

    def store_one_and_be_overtaken(*arguments: Any) -> bool:
        stored = store_one(*arguments)
        if progress(database, other.run_id).missing:
            label_chunk(process, MiddlewareStack(), identity, other.id, other.attempt)
        return stored

    monkeypatch.setattr(worker.storing, "store_one", store_one_and_be_overtaken)
    label_chunk(process, MiddlewareStack(), identity, slow.id, slow.attempt)
    process.database.close()

    for chunk in chunks:
        state, run_now = progress(database, chunk.run_id), get_run(database, chunk.run_id)
        assert (state.ok, state.missing) == (IMAGES, 0)
        assert run_now
        assert state.chunks_done == 1
