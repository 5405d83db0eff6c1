"""What hangs beside a chunk sees it, adds rows to its transaction, and cannot harm it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from celery.exceptions import Reject, SoftTimeLimitExceeded

from common.errors import ArchiveError, DatabaseError, EngineError
from storage.outcomes import Stored
from storage.records import ProcessSample
from storage.runs import progress
from tests.unit.storage.nights import ask, number
from tests.unit.worker.nights import IMAGES
from worker.chunk_errors import ReplaceProcess
from worker.chunk_middleware import ChunkMiddleware, ChunkResult, MiddlewareStack
from worker.labelling import Labeller

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.message import ChunkMessage
    from storage.chunk_claims import Claim
    from storage.samples import ChunkRow
    from tests.unit.worker.nights import Night

#: Also those that the task itself answers: out of a middleware, they say nothing of the chunk.
ERRORS = [
    ZeroDivisionError,
    EngineError,
    ArchiveError,
    DatabaseError,
    Reject,
    SystemExit,
    lambda: ReplaceProcess("planted"),
]
ERROR_NAMES = ["unforeseen", "engine", "archive", "database", "reject", "exit", "replace"]
#: For what no database has a part in.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LABELS = "select path, label_1, score_1, label_2, label_3, status from results order by path"


def kept(pid: int = 7, **given: Any) -> ProcessSample:
    values: dict[str, Any] = {
        "worker": "planted",
        "sampled_at": datetime.now(UTC),
        "pid": pid,
        "rss_bytes": 1,
        "cpu_s": 0.5,
    }
    return ProcessSample(**values | given)


class Recorder(ChunkMiddleware):
    """Writes down what it is told, and contributes a row."""

    def __init__(self, calls: list[tuple[Any, ...]], name: str = "recorder") -> None:
        self._calls = calls
        self._name = name

    def before(self, claimed: Claim) -> None:
        self._calls.append((self._name, "before", claimed.chunk_id))

    def rows(self, claimed: Claim) -> Sequence[ChunkRow]:
        self._calls.append((self._name, "rows", claimed.chunk_id))
        return [kept()]

    def after(self, claimed: Claim, result: ChunkResult) -> None:
        self._calls.append((self._name, "after", claimed.chunk_id, result.stored, len(result.outcomes)))

    def failed(self, chunk: Claim | ChunkMessage, error: Exception) -> None:
        self._calls.append((self._name, "failed", chunk.chunk_id, type(error)))


class Raiser(ChunkMiddleware):
    """Raises an error in every hook."""

    def __init__(self, error: Any) -> None:
        self._error = error

    def before(self, claimed: Claim) -> None:
        raise self._error()

    def rows(self, claimed: Claim) -> Sequence[ChunkRow]:
        raise self._error()

    def after(self, claimed: Claim, result: ChunkResult) -> None:
        raise self._error()

    def failed(self, chunk: Claim | ChunkMessage, error: Exception) -> None:
        raise self._error()


class Contributor(ChunkMiddleware):
    """Contributes whatever it was given."""

    def __init__(self, *rows: Any) -> None:
        self._rows = rows

    def rows(self, claimed: Claim) -> Sequence[ChunkRow]:
        return self._rows


@pytest.fixture
def labels(night: Night) -> list[tuple[Any, ...]]:
    """What the chunk's images show, by the engine alone."""
    claimed_images = night.images
    outcomes = {one.image_id: one for one in night.process.labeller(night.run).label(claimed_images, night.run.roots)}
    rows = []
    for image in sorted(claimed_images, key=lambda one: one.path):
        (first, score), (second, _), (third, _) = outcomes[image.image_id].labels
        rows.append((image.path, first, pytest.approx(score, rel=1e-5), second, third, "ok"))
    return rows


def use(night: Night, *middleware: ChunkMiddleware) -> None:
    night.middleware = MiddlewareStack(*middleware)


def planted_samples(night: Night) -> int:
    return number(night.database, "select count(*) from samples where worker = 'planted'")


def test_a_chunk_that_is_stored_passes_before_rows_and_after(night: Night) -> None:
    calls: list[tuple[Any, ...]] = []
    use(night, Recorder(calls, "outer"), Recorder(calls, "inner"))

    night.label()

    assert calls == [
        ("outer", "before", night.chunk.id),
        ("inner", "before", night.chunk.id),
        ("outer", "rows", night.chunk.id),
        ("inner", "rows", night.chunk.id),
        ("inner", "after", night.chunk.id, Stored.DONE, IMAGES),
        ("outer", "after", night.chunk.id, Stored.DONE, IMAGES),
    ]


def test_a_chunk_that_goes_back_passes_before_and_failed(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []
    use(night, Recorder(calls))
    monkeypatch.setattr(Labeller, "label", lambda *_: (_ for _ in ()).throw(EngineError("planted")))

    with pytest.raises(ReplaceProcess):
        night.label()

    assert calls == [
        ("recorder", "before", night.chunk.id),
        ("recorder", "failed", night.chunk.id, EngineError),
    ]


def test_the_rows_are_stored_with_the_chunk(night: Night) -> None:
    use(night, Contributor(kept()))

    night.label()

    assert (planted_samples(night), progress(night.database, night.run.id).chunks_done) == (1, 1)


@pytest.mark.parametrize("stored", ["late", "failing"])
def test_the_rows_are_not_stored_where_the_chunk_is_not(
    night: Night, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker was first, or the transaction does not come to its end."""

    def amid_the_transaction(*_: object) -> Stored:
        if stored == "failing":
            raise ZeroDivisionError
        monkeypatch.undo()
        return Stored.TOO_LATE

    use(night, Contributor(kept()))
    if stored == "late":
        with night.database.write() as connection:
            connection.exec_driver_sql("update models set key = 'another'")
        night.label()
    else:
        monkeypatch.setattr("storage.outcomes._store", amid_the_transaction)
        with pytest.raises(ReplaceProcess):
            night.label()

    assert (planted_samples(night), night.outcomes()) == (0, {})


@ON_SQLITE
@pytest.mark.parametrize("error", ERRORS, ids=ERROR_NAMES)
@pytest.mark.parametrize("is_retried", [False, True])
def test_a_middleware_that_raises_in_every_hook_changes_nothing_of_a_chunk(
    night: Night,
    labels: list[tuple[Any, ...]],
    error: Any,
    is_retried: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The chunk is labelled once, by the same labels, and those beside it are told as ever."""
    calls: list[tuple[Any, ...]] = []
    use(night, Recorder(calls), Raiser(error), Contributor(kept(pid=8, worker="second")))
    starts = 1
    if is_retried:
        night.begin()
        starts = 2

    night.label()

    assert ask(night.database, LABELS) == labels
    assert number(night.database, "select starts from chunks") == starts
    assert progress(night.database, night.run.id).chunks_done == 1
    assert [call[1] for call in calls] == ["before", "rows", "after"]
    assert number(night.database, "select count(*) from samples where worker in ('planted', 'second')") == 2
    hooks = [one.hook for one in caplog.records if getattr(one, "action", "") == "middleware_failed"]  # type: ignore[attr-defined]
    assert hooks == ["before", "rows", "after"]


@ON_SQLITE
@pytest.mark.parametrize("error", [*ERRORS, SoftTimeLimitExceeded], ids=[*ERROR_NAMES, "time limit"])
def test_a_chunk_goes_back_also_where_a_middleware_raises_over_its_failure(
    night: Night, error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class RaisesWhenFailed(ChunkMiddleware):
        def failed(self, chunk: Claim | ChunkMessage, reason: Exception) -> None:
            raise error

    calls: list[tuple[Any, ...]] = []
    use(night, Recorder(calls), RaisesWhenFailed())
    monkeypatch.setattr(Labeller, "label", lambda *_: (_ for _ in ()).throw(SoftTimeLimitExceeded()))
    with pytest.raises(Reject) as raised:
        night.label()
    monkeypatch.undo()

    assert raised.value.requeue
    assert calls[-1] == ("recorder", "failed", night.chunk.id, SoftTimeLimitExceeded)
    night.label()
    assert set(night.outcomes().values()) == {"ok"}


@ON_SQLITE
@pytest.mark.parametrize("hook", ["before", "rows", "after"])
def test_a_time_limit_that_is_over_within_a_middleware_sends_the_chunk_back(night: Night, hook: str) -> None:
    """It is the chunk's limit, and no error of the middleware's; where the chunk is stored, it stays stored."""

    def be_over(*_: object) -> None:
        raise SoftTimeLimitExceeded

    middleware = ChunkMiddleware()
    setattr(middleware, hook, be_over)
    use(night, middleware)

    with pytest.raises(Reject):
        night.label()

    assert set(night.outcomes().values()) == ({"ok"} if hook == "after" else set())
    use(night)
    night.label()
    assert list(night.outcomes().values()) == ["ok"] * IMAGES


@pytest.mark.parametrize("row", [kept(rss_bytes=2**70), kept(worker="\0")], ids=["a number", "a text"])
def test_a_row_that_the_database_refuses_costs_no_label(
    night: Night, labels: list[tuple[Any, ...]], row: ProcessSample
) -> None:
    use(night, Contributor(row))

    night.label()

    assert ask(night.database, LABELS) == labels
    assert progress(night.database, night.run.id).chunks_done == 1


@ON_SQLITE
@pytest.mark.parametrize("rows", [["no row"], [None], None, 7], ids=["text", "none in a list", "none", "a number"])
def test_what_is_no_row_is_left_out(night: Night, rows: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(ChunkMiddleware):
        def rows(self, claimed: Claim) -> Sequence[ChunkRow]:
            return rows  # type: ignore[no-any-return]

    use(night, Wrong(), Contributor(kept()))

    night.label()

    assert (planted_samples(night), set(night.outcomes().values())) == (1, {"ok"})
    assert "raised an error in rows" in caplog.text


def test_a_value_that_the_database_refuses_costs_its_image_and_no_row(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunk is stored image by image, and then marked done, with its rows."""
    really = Labeller.label

    def label(labeller: Labeller, *given: Any) -> Any:
        outcomes = really(labeller, *given)
        return [outcome_with(one, labels=(("\ud800", 0.5),)) if one.image_id == 2 else one for one in outcomes]

    def outcome_with(outcome: Any, **given: Any) -> Any:
        return type(outcome)(**vars(outcome) | given)

    monkeypatch.setattr(Labeller, "label", label)
    use(night, Contributor(kept()))

    night.label()

    assert sorted(night.outcomes().values()) == ["ok"] * (IMAGES - 1) + ["refused"]
    assert (planted_samples(night), progress(night.database, night.run.id).chunks_done) == (1, 1)


def test_a_stored_chunk_is_logged_with_the_fields_that_machines_read(
    night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    night.label()

    (record,) = (vars(one) for one in caplog.records if getattr(one, "action", "") == "chunk_stored")
    expected = {"run_id": night.run.id, "chunk_id": night.chunk.id, "attempt": 1, "images": IMAGES, "failed": 0}
    assert {name: record[name] for name in expected} == expected
    assert record["total_ms"] > record["store_ms"] > 0
    assert record["queue_ms"] >= 0
    assert f"Chunk {night.chunk.id} of run {night.run.id} is stored" in record["message"]
