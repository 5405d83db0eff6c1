"""The task, on SQLite and on Postgres: what becomes of a chunk that an earlier start did not finish."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from celery.exceptions import Reject, SoftTimeLimitExceeded
from celery.worker import state

from common.errors import ArchiveError, EngineError
from storage.outcomes import Stored, store, store_one
from storage.runs import cancel, progress, set_engine
from tests.unit.worker.nights import IMAGES
from worker.chunk_errors import ReplaceProcess
from worker.labelling import Labeller
from worker.service import Replacements
from worker.single_images import MAX_SEEN_CRASHES, MAX_UNSEEN_CRASHES
from worker.task import label_chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import ChunkImage, Outcome
    from tests.unit.worker.nights import Night

#: For what no database has a part in.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_chunk_is_labelled_and_stored(night: Night) -> None:
    night.label()

    assert list(night.outcomes().values()) == ["ok"] * IMAGES


def test_a_second_delivery_adds_nothing(night: Night) -> None:
    """Killed between commit and acknowledgement: the message comes again."""
    night.label()
    before = progress(night.database, night.run.id)

    night.label()

    assert progress(night.database, night.run.id) == before


@pytest.mark.parametrize(
    ("cause", "times", "kind"),
    [
        ("signal 11 (SIGSEGV)", MAX_SEEN_CRASHES, "poison"),
        ("time limit of 120 s", MAX_SEEN_CRASHES, "timeout"),
        (None, MAX_UNSEEN_CRASHES, "poison"),
    ],
)
def test_an_image_that_ends_its_worker_again_and_again_is_given_up_and_the_others_are_labelled(
    night: Night, cause: str | None, times: int, kind: str
) -> None:
    guilty = night.images[2]
    night.begin()  # in a batch: nobody is suspect yet
    for _ in range(times):
        night.die_with(guilty, cause)

    night.label()

    kinds = night.outcomes()
    assert kinds.pop(guilty.path) == kind
    assert list(kinds.values()) == ["ok"] * (IMAGES - 1)
    with night.database.read() as connection:
        (message,) = connection.exec_driver_sql("select error from results where status = 'failed'").scalars()
    assert (cause or "nobody saw") in message


def test_workers_that_died_unseen_with_an_image_are_not_soon_its_fault(night: Night) -> None:
    """Whole workers were killed, by a person or a power cut: an image that was there each time is no poison."""
    for _ in range(MAX_UNSEEN_CRASHES - 1):
        night.die_with(night.images[2])

    night.label()

    assert set(night.outcomes().values()) == {"ok"}


def test_an_image_that_a_worker_died_with_once_is_labelled(night: Night) -> None:
    night.die_with(night.images[2])

    night.label()

    assert set(night.outcomes().values()) == {"ok"}


def test_kills_with_different_images_are_nobodys_fault(night: Night) -> None:
    for image in night.images:
        night.die_with(image)

    night.label()

    assert set(night.outcomes().values()) == {"ok"}


def test_what_an_earlier_start_has_stored_is_kept(night: Night) -> None:
    """The chunk's counts hold it once, though the start that stored it never ended."""
    claimed = night.begin()
    labeller = night.process.labeller(night.run)
    (first,) = labeller.label(night.images[:1], night.run.roots)
    store_one(night.database, claimed, first, "killed")

    night.label()

    state = progress(night.database, night.run.id)
    assert (state.ok, state.failed, state.missing) == (IMAGES, 0, 0)


def test_two_that_label_a_chunk_side_by_side_count_each_image_once(night: Night) -> None:
    """A slow worker holds the whole chunk while another, image by image, has stored half of it."""
    slow, other = night.begin("slow"), night.begin("other")
    outcomes = night.process.labeller(night.run).label(night.images, night.run.roots)
    for outcome in outcomes[:3]:
        store_one(night.database, other, outcome, "other")

    assert store(night.database, slow, outcomes, "slow") is Stored.DONE

    state = progress(night.database, night.run.id)
    assert (state.ok, state.missing) == (IMAGES, 0)


def test_a_time_limit_sends_the_chunk_back_and_blames_nobody(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    night.begin()
    labeller = night.process.labeller(night.run)

    def too_slow(*_: object) -> list[Outcome]:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(labeller, "label", too_slow)
    for _ in range(MAX_UNSEEN_CRASHES + 1):
        with pytest.raises(Reject):
            night.label()
    monkeypatch.undo()

    night.label()

    assert set(night.outcomes().values()) == {"ok"}


def test_a_time_limit_that_is_over_while_a_chunk_waits_to_go_back_sends_it_back(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery acknowledges a task that its own error ends, and the chunk would be lost."""

    def be_over(_seconds: float) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(Labeller, "label", lambda *_: (_ for _ in ()).throw(ArchiveError("planted")))
    monkeypatch.setattr(time, "sleep", be_over)

    with pytest.raises(Reject) as raised:
        night.label()

    assert raised.value.requeue


def test_ends_of_several_kinds_are_told_as_what_they_were(night: Night) -> None:
    """One was a crash, the next one the time limit: it was not ended by the limit twice."""
    guilty = night.images[2]
    night.begin()
    night.die_with(guilty, "signal 11 (SIGSEGV)")
    night.die_with(guilty, "time limit of 120 s")

    night.label()

    with night.database.read() as connection:
        (message,) = connection.exec_driver_sql("select error from results where status = 'failed'").scalars()
    assert message == (
        "the worker was ended 2 times while it labelled this image alone, the last time by the time limit of 120 s"
    )


def test_a_chunk_of_another_database_is_dropped(night: Night) -> None:
    """Its numbers fit: only the identity tells."""
    label_chunk(
        night.process, night.middleware, "00000000-0000-4000-8000-000000000001", night.chunk.id, night.chunk.attempt
    )

    assert night.outcomes() == {}


@ON_SQLITE
@pytest.mark.parametrize(
    "arguments",
    [(), (7, 1, 1, [[1, "/etc/passwd"]]), ("", 1, 1), (None, 1, 1), ("x" * 10_000_000, 1, 1)],
    ids=["nothing", "of version 0.1.0", "no database", "null", "a long text"],
)
def test_what_is_no_message_of_this_database_is_dropped(night: Night, arguments: tuple[object, ...]) -> None:
    label_chunk(night.process, night.middleware, *arguments)

    assert (night.outcomes(), night.begin().starts) == ({}, 1)


def test_a_chunk_of_a_cancelled_run_is_dropped(night: Night) -> None:
    cancel(night.database, night.run.id)

    night.label()

    assert night.outcomes() == {}


def test_a_run_that_goes_on_with_another_engine_is_labelled_by_that_one(night: Night) -> None:
    """A worker that remembered the run would keep to the engine that it saw first."""
    night.process.labeller(night.run)
    set_engine(night.database, replace(night.run, engine="torch"))

    claimed = night.begin()

    assert claimed.run.engine == "torch"


def test_an_error_that_nobody_foresaw_gives_the_chunk_back_and_replaces_the_process(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery would acknowledge it, and the chunk would be lost."""
    labeller = night.process.labeller(night.run)

    def fail(*_: object) -> list[Outcome]:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(labeller, "label", fail)
    with pytest.raises(ReplaceProcess) as raised:
        night.label()
    monkeypatch.undo()

    assert raised.value.reason == "ZeroDivisionError: planted"
    night.label()
    assert set(night.outcomes().values()) == {"ok"}


@ON_SQLITE
@pytest.mark.parametrize("bad", [{0, 1}, {1, 3}, {0, 1, 2, 4}, {0, 1, 2, 3, 4}])
def test_several_images_on_which_the_engine_raises_are_each_to_blame_and_the_others_are_labelled(
    night: Night, bad: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them would keep another from being tried where others pass, and the worker would end."""
    replacements = Replacements()
    monkeypatch.setattr(state, "should_stop", None)
    guilty = {night.images[place] for place in bad}

    def label(labeller: Labeller, images: Sequence[ChunkImage], roots: Sequence[str]) -> list[Outcome]:
        if guilty & set(images):
            raise EngineError("planted")
        return really(labeller, images, roots)

    really = Labeller.label
    monkeypatch.setattr(Labeller, "label", label)
    for _ in range(4 * IMAGES):
        try:
            night.label()
            break
        except ReplaceProcess as replaced:
            replacements.count(replaced)
            night.replace_process()

    assert state.should_stop is None
    expected = {image.path: "engine" if image in guilty else "ok" for image in night.images}
    assert night.outcomes() == expected


@pytest.mark.parametrize(
    "change",
    [
        "update identity set uuid = '00000000-0000-4000-8000-000000000001'",
        "update images set path = '/another.jpg' where id = 3",
        "update models set key = 'another'",
        "delete from manifest where image_id = 3",
    ],
)
def test_what_was_labelled_is_not_stored_where_its_numbers_mean_something_else_by_then(
    night: Night, change: str
) -> None:
    """The database was made anew, or set back to a backup, between the claim and the commit."""
    claimed = night.begin("slow")
    outcomes = night.process.labeller(night.run).label(claimed.images, night.run.roots)
    with night.database.write() as connection:
        connection.exec_driver_sql(change)

    assert store(night.database, claimed, outcomes, "slow") is Stored.TOO_LATE
    assert not store_one(night.database, claimed, outcomes[0], "slow")
    assert night.outcomes() == {}
