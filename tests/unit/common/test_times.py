"""Times as people write them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from common.errors import UsageError
from common.times import next_time_of_day, parse_duration, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clocks are put forward on the last Sunday in March, at 2:00, and back on that in October, at 3:00."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2.5s", 2.5), ("30m", 1800), ("1h30m", 5400), ("8 h", 28_800), ("7d", 604_800)]
)
def test_a_duration_is_its_parts(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "8", "soon", "h", "-1h", "1h 5"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


def test_an_instant_is_a_day_a_time_or_a_span_ago(in_berlin: None) -> None:
    assert parse_instant("2026-11-24", "--since") == datetime(2026, 11, 23, 23, tzinfo=UTC)
    assert parse_instant("2026-07-01T22:00", "--since") == datetime(2026, 7, 1, 20, tzinfo=UTC)
    assert datetime.now(UTC) - parse_instant("12h ago", "--since") - timedelta(hours=12) < timedelta(minutes=1)
    with pytest.raises(UsageError, match="--since 'yesterday'"):
        parse_instant("yesterday", "--since")


@pytest.mark.parametrize(
    ("now", "text", "expected"),
    [
        ("2026-11-24T21:00", "07:00", "2026-11-25T06:00"),  # ten in the evening, over midnight
        ("2026-11-25T05:59", "7:00", "2026-11-25T06:00"),
        ("2026-11-25T06:00", "07:00", "2026-11-26T06:00"),  # now is not next
        ("2026-11-24T21:00", "24:00", "2026-11-24T23:00"),
        ("2026-11-24T21:00", "00:00", "2026-11-24T23:00"),
        ("2026-12-31T21:00", "07:00", "2027-01-01T06:00"),
        ("2026-03-28T21:00", "07:00", "2026-03-29T05:00"),  # the night is an hour shorter
        ("2026-10-24T20:00", "07:00", "2026-10-25T06:00"),  # longer
        ("2026-03-28T21:00", "02:30", "2026-03-29T01:30"),  # there is none that night: half an hour after two
        ("2026-03-29T01:40", "02:30", "2026-03-30T00:30"),
        ("2026-10-24T20:00", "02:30", "2026-10-25T00:30"),  # there are two of them
        ("2026-10-25T00:40", "02:30", "2026-10-25T01:30"),
    ],
)
def test_a_time_of_the_day_is_the_next_one_on_the_wall(in_berlin: None, now: str, text: str, expected: str) -> None:
    """All of these but the text are UTC."""
    when = next_time_of_day(text, datetime.fromisoformat(now).replace(tzinfo=UTC))

    assert when == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "7", "25:00", "24:01", "07:60", "7am", "07:00:00", "-1:00"])
def test_what_is_no_time_of_the_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time of the day, as 07:00 is"):
        next_time_of_day(text, datetime.now(UTC))
