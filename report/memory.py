"""Whether a process leaks memory, judged by the slope of what it held over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from report.robust import Slope

#: Megabytes an hour that a process must grow by, for sure, to be called leaky, 24 MB in a night; and that it must have
#: grown by. The interval takes samples for independent of each other, which an allocator's steps are not: alone, it
#: would call the last step before a plateau a leak.
LEAK_MB_AN_HOUR = 3.0
LEAK_MB = 10.0
#: Hours below which no slope says anything: what looks like growth is an allocator finding its size.
LEAST_HOURS = 0.25

Verdict = Literal["steady", "leak", "unclear", "too short"]


def leak_verdict(rise: Slope | None) -> Verdict:
    """Say of a process's memory whether it leaks.

    It does where the whole interval lies above `LEAK_MB_AN_HOUR`, and the line rose by `LEAK_MB`.

    Args:
        rise: of the resident memory, in MB; None: there are too few samples.

    """
    if rise is None or rise.hours < LEAST_HOURS:
        return "too short"
    if rise.low > LEAK_MB_AN_HOUR and rise.end - rise.begin >= LEAK_MB:
        return "leak"
    return "steady" if rise.high <= LEAK_MB_AN_HOUR else "unclear"
