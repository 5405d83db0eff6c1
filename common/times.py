"""Times as people write them: how long, since when, and until what time of the day."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from common.errors import UsageError

_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII)


def parse_duration(text: str) -> float:
    """Return the seconds that `1h`, `90s`, `2.5s`, `1h30m` or `7d` mean.

    Raises:
        ValueError: it means none.

    """
    found = _SPAN.fullmatch(text.replace(" ", ""))
    if not found or not any(found.groups()):
        raise ValueError(f"{text!r} is no duration, as 90s, 30m, 1h30m or 7d are")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_instant(text: str, option: str) -> datetime:
    """Return the instant that `2026-11-24`, `2026-11-24T22:00` (local time, not UTC) or `12h` (ago) mean.

    Raises:
        UsageError: it makes no sense; `option` is what it was given to.

    """
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration(text.removesuffix("ago").strip()))
    except (ValueError, OverflowError):
        pass
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text!r}: use a day, a time as in 2026-11-24T22:00, or 12h or 7d ago.") from None


_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
_DAY_MIN = 24 * 60


def next_time_of_day(text: str, now: datetime) -> datetime:
    """Return when a clock on the wall shows `07:00` next, in the time zone of this machine.

    Where clocks are put forward over that time, it is as long after midnight as ever; where they are put back over it,
    the first of the two counts that is still to come.

    Args:
        text: hours and minutes, from 00:00 to 24:00, which is the next midnight.
        now: from when on.

    Raises:
        ValueError: it is no time of the day.

    """
    found = _TIME_OF_DAY.fullmatch(text.strip())
    hours, minutes = (int(part) for part in found.groups()) if found else (99, 0)
    if minutes > 59 or hours * 60 + minutes > _DAY_MIN:  # noqa: PLR2004 - minutes in an hour
        raise ValueError(f"{text!r} is no time of the day, as 07:00 is")
    local = now.astimezone()
    for days in (0, 1, 2):
        day = datetime(local.year, local.month, local.day) + timedelta(days=days)  # noqa: DTZ001 - as the wall has it
        on_the_wall = day + timedelta(hours=hours, minutes=minutes)
        for fold in (0, 1):
            when = datetime.fromtimestamp(on_the_wall.replace(fold=fold).timestamp(), UTC)
            if when > now:
                return when
    raise AssertionError("a day has 24 hours, or 23, or 25")
