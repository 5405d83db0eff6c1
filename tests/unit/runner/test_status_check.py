"""What a probe is told: what keeps a run from getting on, and nothing of a run that was stopped for the day."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from importlib import resources
from typing import TYPE_CHECKING

import jsonschema
import pytest

import runner.status_check
from nightlabel.status_json import as_json
from runner.status import Queue, Status
from runner.status_check import problems
from storage.records import Pace, WorkerSample
from tests.dead_share import dead_share
from tests.unit.runner.situations import NOW, labelling_run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (root := tmp_path / "photos").mkdir()
    (root / "a.jpg").write_bytes(b"\xff\xd8\xff")
    return root


@pytest.fixture
def well(root: Path) -> Status:
    """A run that another host follows and workers label."""
    situation = labelling_run(str(root))
    sample = WorkerSample(
        name="nas-17/1", host="nas", pid=18, started_at=NOW, rss_bytes=200_000_000, peak_rss_bytes=0, seen_at=NOW
    )
    return Status(
        database="nightlabel.db",
        now=NOW,
        situations=(situation,),
        is_unfinished=True,
        queue=situation.queue,
        processes=(sample,),
    )


def changed(status: Status, **values: object) -> Status:
    return replace(status, situations=(replace(status.situations[0], **values),))  # type: ignore[arg-type]


def kinds(status: Status) -> list[str]:
    return [problem.kind for problem in problems(status)]


#: Five minutes ago, chunks moved last.
STOOD = Pace(newest_at=NOW - timedelta(minutes=5), images=0)
NO_WORKER = Queue(depth=3, unacknowledged=1, workers={})


def test_of_a_run_that_gets_on_nothing_is_wrong(well: Status) -> None:
    assert problems(well) == []
    assert problems(replace(well, situations=(), is_unfinished=False)) == []


def test_a_run_that_does_not_move_has_stalled(well: Status) -> None:
    (problem,) = problems(changed(well, pace=STOOD))
    assert (problem.kind, problem.run_id, problem.exit_status) == ("stalled", 3, 7)
    assert problem.text == "nothing has moved for 5 min 00 s"


def test_a_queue_without_a_worker_is_a_problem_while_chunks_wait(well: Status) -> None:
    assert kinds(changed(well, queue=NO_WORKER)) == ["no_worker"]
    waiting = replace(well.situations[0].progress, chunks_waiting=8)
    assert kinds(changed(well, queue=NO_WORKER, progress=waiting)) == []


def test_an_archive_that_is_gone_comes_first(well: Status, root: Path) -> None:
    (root / "a.jpg").unlink()
    root.rmdir()
    assert kinds(changed(well, pace=STOOD, queue=NO_WORKER)) == ["archive_gone", "no_worker", "stalled"]
    (problem, *_) = problems(well)
    assert (problem.exit_status, problem.text.split(": ")[0]) == (6, str(root))
    assert problems(well, looks_at_archive=False) == []


def test_an_archive_on_a_share_that_is_dead_is_gone(well: Status, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.status_check, "_ARCHIVE_S", 0.3)
    with dead_share(root):
        (problem,) = problems(well)
    assert problem.kind == "archive_gone"
    assert "its disk has not answered for" in problem.text


@pytest.mark.parametrize("state", ["finished", "cancelled"])
def test_a_run_that_is_over_has_no_problem(well: Status, state: str) -> None:
    run = replace(well.situations[0].run, state=state)  # type: ignore[arg-type]
    assert kinds(changed(well, run=run, pace=STOOD, queue=NO_WORKER)) == []


def test_a_run_that_was_stopped_for_the_day_has_no_problem(well: Status) -> None:
    run = replace(well.situations[0].run, followed_at=None, follower=None, follower_process=None)
    assert kinds(changed(well, run=run, pace=STOOD, queue=None)) == []
    assert kinds(changed(well, run=run, pace=STOOD, queue=replace(NO_WORKER, depth=0, unacknowledged=0))) == []


def test_a_run_that_was_enqueued_and_is_followed_by_nobody_has_some(well: Status) -> None:
    run = replace(well.situations[0].run, followed_at=None, follower=None, follower_process=None)
    assert kinds(changed(well, run=run, pace=STOOD, queue=NO_WORKER)) == ["no_worker", "stalled"]


def test_json_keeps_its_schema(well: Status) -> None:
    schema = json.loads(resources.files("nightlabel").joinpath("status.schema.json").read_text())
    for status in (well, changed(well, pace=STOOD, queue=None), replace(well, situations=(), queue=None)):
        document = json.loads(json.dumps(as_json(status, problems(status))))
        assert list(jsonschema.Draft202012Validator(schema).iter_errors(document)) == []
    run = as_json(well, [])["runs"][0]
    assert (run["missing"], run["chunks"]["published"], run["images_per_second"]) == (500, 4, 5.0)
