"""Robust statistics: what one outlier, or an allocator finding its size, does not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

#: Share of the time that is left out at the beginning of a slope: caches fill, and allocators find their size.
WARM_UP = 0.1
#: Points that a slope is taken of: it looks at every pair.
_MOST_POINTS = 500
#: Standard deviations that a normal distribution keeps within in 95 of 100 cases.
_DEVIATIONS = 1.959964
#: Fewer points say nothing about a slope.
_LEAST_POINTS = 10


@dataclass(frozen=True, kw_only=True)
class Slope:
    """A straight line's rise, in units an hour, and the interval that holds it in 95 of 100 cases."""

    per_hour: float
    low: float
    high: float
    hours: float  #: that it was seen for
    begin: float  #: the line's value at the beginning of that time, and at its end
    end: float


def slope(at_s: ArrayLike, values: ArrayLike) -> Slope | None:
    """Return the median of the slopes between all pairs of points after the warm-up; None if they are too few.

    Args:
        at_s: times in seconds, float, shape [N], ascending.
        values: shape [N].

    The same as `scipy.stats.theilslopes`, which takes longer to import than a million outcomes to count.

    Sources: Theil, A rank-invariant method of linear and polynomial regression analysis (1950); Sen, Estimates of the
    regression coefficient based on Kendall's tau (1968), for the interval.

    """
    times, heights = np.asarray(at_s, np.float64), np.asarray(values, np.float64)
    if len(times) == 0:
        return None
    later = times >= times[0] + WARM_UP * (times[-1] - times[0])
    hours, heights = _thinned(times[later] / 3600, heights[later])
    if len(hours) < _LEAST_POINTS or hours[0] == hours[-1]:
        return None
    first, second = np.triu_indices(len(hours), 1)
    apart = hours[second] - hours[first]
    slopes = np.sort((heights[second] - heights[first])[apart > 0] / apart[apart > 0])
    per_hour = np.median(slopes)
    # How far from the middle one the slope may be by chance: Kendall's statistic, whose variance ties make smaller.
    variance = (_pairs_of(len(hours)) - sum(map(_pairs_of, _ties(hours))) - sum(map(_pairs_of, _ties(heights)))) / 18
    by_chance = _DEVIATIONS * np.sqrt(max(0.0, variance))
    low = max(round((len(slopes) - by_chance) / 2) - 1, 0)
    high = min(round((len(slopes) + by_chance) / 2), len(slopes) - 1)
    begin, end = (float(np.median(heights) + per_hour * (hour - np.median(hours))) for hour in (hours[0], hours[-1]))
    return Slope(
        per_hour=float(per_hour),
        low=float(slopes[low]),
        high=float(slopes[high]),
        hours=float(hours[-1] - hours[0]),
        begin=begin,
        end=end,
    )


def variation(values: ArrayLike) -> float | None:
    """Return the coefficient of variation: standard deviation by mean; None of fewer than two values."""
    given = np.asarray(values, np.float64)
    if len(given) < 2 or given.mean() == 0:  # noqa: PLR2004 - one value does not vary
        return None
    return float(given.std(ddof=1) / given.mean())


def _ties(values: Floats) -> list[int]:
    """Return how many values there are of each."""
    return np.unique(values, return_counts=True)[1].tolist()  # type: ignore[no-any-return]


def _pairs_of(count: int) -> int:
    """Return what so many tied values, or untied points, add to 18 times the variance of Kendall's statistic."""
    return count * (count - 1) * (2 * count + 5)


def _thinned(
    hours: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return medians of neighbouring points, so that there are at most `_MOST_POINTS`."""
    parts = min(len(hours), _MOST_POINTS)
    if parts == len(hours):
        return hours, values
    return (
        np.array([np.median(part) for part in np.array_split(hours, parts)]),
        np.array([np.median(part) for part in np.array_split(values, parts)]),
    )
