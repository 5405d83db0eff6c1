"""Following a run: when it is time to look for lost chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from producer.run_follower import QuietWatch

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_it_is_quiet_when_chunks_were_published_and_none_of_them_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QuietWatch, "QUIET_S", 0.0)
    watch = QuietWatch()
    assert [watch.is_quiet(done, published) for done, published in [(0, 5), (0, 5), (1, 4), (1, 0), (1, 4)]] == [
        *(False, True, False, False, True)
    ]


def test_it_is_not_quiet_before_its_time() -> None:
    watch = QuietWatch()
    assert not any(watch.is_quiet(0, 5) for _ in range(100))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds, as the watches see it: to be set."""
    now = [1000.0]
    monkeypatch.setattr("producer.run_follower.time.monotonic", lambda: now[0])
    return now


def pauses(watch: QuietWatch, clock: list[float], lost: Sequence[int], done: int = 0) -> list[float]:
    """Say to a watch, each time it is quiet, how many chunks were lost; return the seconds before each time."""
    found = []
    for count in lost:
        begun = clock[0]
        while not watch.is_quiet(done, 5):
            clock[0] += 0.5
        found.append(clock[0] - begun)
        watch.found(count)
    return found


def test_where_nothing_was_lost_it_is_looked_for_half_as_often_down_to_once_a_minute(clock: list[float]) -> None:
    """Chunks that wait behind another run's are not lost, and asking all workers about them costs seconds."""
    assert pauses(QuietWatch(), clock, [0] * 7) == [3, 6, 12, 24, 48, 60, 60]


def test_where_something_was_lost_it_is_looked_for_soon_again(clock: list[float]) -> None:
    assert pauses(QuietWatch(), clock, [0, 0, 1, 0]) == [3, 6, 12, 3]


def test_a_chunk_that_is_done_begins_the_pauses_anew(clock: list[float]) -> None:
    watch = QuietWatch()
    assert pauses(watch, clock, [0, 0]) == [3, 6]
    assert pauses(watch, clock, [0], done=1) == [3]
