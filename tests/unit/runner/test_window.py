"""The night's window: what ends it, and what is said then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import runner.window
from common.errors import UsageError
from common.settings import load_settings
from runner.window import Stopped, Window
from storage.records import Progress

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def pass_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass, on the wall as well."""
    passed = [0.0]
    begun = datetime(2026, 11, 24, 22, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # noqa: ARG003 - it is UTC
            return begun + timedelta(seconds=passed[0])

    monkeypatch.setattr(runner.window, "datetime", Clock)
    monkeypatch.setattr(runner.window, "_elapsed_s", lambda: passed[0])

    def let(seconds: float) -> None:
        passed[0] += seconds

    return let


def labelled(count: int) -> Progress:
    return Progress(images=1000, ok=count)


def test_without_any_end_it_stays_open(pass_by: Callable[[float], None]) -> None:
    window = Window(load_settings())
    pass_by(1e9)
    window.look(labelled(1000))
    assert not window.is_over()


def test_a_duration_ends_it(pass_by: Callable[[float], None]) -> None:
    window = Window(load_settings(max_duration="8h"))
    pass_by(8 * 3600 - 1)
    assert not window.is_over()
    pass_by(1)
    assert window.is_over()


def test_images_of_this_command_end_it_and_no_earlier_ones() -> None:
    window = Window(load_settings(max_images=100))
    for count, is_over in ((500, False), (599, False), (600, True)):
        window.look(labelled(count))
        assert window.is_over() == is_over


def test_it_stays_over_though_a_clock_is_set_back(pass_by: Callable[[float], None]) -> None:
    at = (datetime(2026, 11, 24, 22, tzinfo=UTC) + timedelta(hours=1)).astimezone()
    window = Window(load_settings(until=f"{at:%H:%M}"))
    pass_by(3599)
    assert not window.is_over()
    pass_by(1)
    assert window.is_over()
    pass_by(-1800)
    assert window.is_over()
    assert window.stopped(labelled(0), is_scanned=True).reason == f"--until {at:%H:%M}"


def test_it_says_what_is_left_and_how_many_more_it_takes(pass_by: Callable[[float], None]) -> None:
    window = Window(load_settings(max_duration="1h"))
    pass_by(60)  # a model is prepared
    window.look(labelled(100))
    pass_by(3540)
    assert window.is_over()
    pass_by(36)  # the chunks in work
    stopped = window.stopped(labelled(404), is_scanned=True)
    assert str(stopped) == (
        "Stopped by --max-duration 1h: 596 images left, 1 h 56 min at this speed: 2 more windows of 59 min 36 s."
        " The same command goes on with them."
    )


@pytest.mark.parametrize(
    ("stopped", "said"),
    [
        (Stopped(reason="--until 07:00", lasted_s=60, labelled=0, left=5, is_scanned=True), "5 images left. The same"),
        (
            Stopped(reason="--until 07:00", lasted_s=60, labelled=60, left=60, is_scanned=False),
            "at least 60 images left, at least 1 min 00 s at this speed: 1 more window of 1 min 00 s.",
        ),
    ],
    ids=["nothing labelled", "not all found yet"],
)
def test_nothing_is_foretold_that_is_not_known(stopped: Stopped, said: str) -> None:
    assert said in str(stopped)


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("until", "25:00", "is no time of the day"),
        ("max_duration", "soon", "is no duration"),
        ("max_duration", "0s", "that is no time at all"),
        ("max_images", 0, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_names_its_setting(setting: str, value: object, why: str) -> None:
    with pytest.raises(UsageError, match=f"NIGHTLABEL_{setting.upper()} = .*{why}"):
        load_settings(**{setting: value})
