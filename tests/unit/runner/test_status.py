"""The status of a run: what it says of each state, and what it tells people to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from nightlabel.status_lines import describe
from runner.status import Queue, Situation, advice
from storage.records import Pace, Progress
from tests.unit.runner.situations import NOW, labelling_run


@pytest.fixture
def labelling() -> Situation:
    """A run over 1,000 images, half done: 64 in flight, the rest on the queue and behind it; followed, and moving."""
    return labelling_run("/photos/my own")


def changed(situation: Situation, **values: Any) -> Situation:
    return replace(situation, run=replace(situation.run, **values))


def test_one_look_says_what_is_done_in_flight_waiting_and_failed(labelling: Situation) -> None:
    text = "\n".join(describe(labelling))
    for part in (
        "done      500 of 1,000 images (50.0%)",
        "failed    10: 10 truncated",
        "in flight 64 images in 1 chunk",
        "waiting   3 chunks on the queue, 4 not yet published",
        "speed     5.0 images/s in the last minute, 1 min 40 s left",
        "followed  by nas:17",
        "to do     nothing: it is getting on",
    ):
        assert part in text
    assert "stalled" not in text


def test_the_speed_of_a_run_that_has_just_begun_is_not_spread_over_a_minute(labelling: Situation) -> None:
    begun = replace(labelling, pace=replace(labelling.pace, begun_at=NOW - timedelta(seconds=20)))
    assert begun.images_per_second == 15
    assert begun.left == timedelta(seconds=500 / 15)


def test_a_run_that_does_not_move_though_it_has_work_has_stalled(labelling: Situation) -> None:
    stalled = replace(labelling, pace=Pace(newest_at=NOW - timedelta(minutes=5), images=0))
    assert "  stalled   nothing has moved for 5 min 00 s" in describe(stalled)
    assert "their logs say why" in str(advice(stalled))


def test_a_run_that_waits_for_its_producer_has_not_stalled(labelling: Situation) -> None:
    waiting = replace(
        labelling,
        pace=Pace(newest_at=NOW - timedelta(minutes=5), images=0),
        progress=replace(labelling.progress, chunks_waiting=8, chunks_in_work=0),
    )
    assert waiting.stalled_for is None


def test_without_a_worker_that_answers_one_is_to_be_started(labelling: Situation) -> None:
    assert "nightlabel worker" in str(advice(replace(labelling, queue=Queue(depth=3, unacknowledged=0, workers={}))))


@pytest.mark.parametrize("followed_at", [None, NOW - timedelta(minutes=2)])
def test_a_run_that_nobody_follows_is_to_be_taken_up_again(labelling: Situation, followed_at: datetime | None) -> None:
    alone = changed(labelling, followed_at=followed_at)
    assert "nightlabel enqueue --wait '/photos/my own'" in str(advice(alone))
    assert "nightlabel run '/photos/my own'" in str(advice(replace(alone, queue=None)))


def test_of_a_finished_run_only_failures_are_left_to_do(labelling: Situation) -> None:
    finished = changed(labelling, state="finished", followed_at=None)
    assert "nightlabel retry" in str(advice(finished))
    assert str(advice(replace(finished, progress=Progress(images=500, ok=500)))) == "nothing"
