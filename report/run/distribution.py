"""Distributions of times over a run, in memory that does not grow with the images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Bins are a hundredth wide, from a microsecond to three hours: a value is known to within half a percent.
_RATIO = 1.01
_LEAST_MS, _MOST_MS = 1e-3, 1e7
_BINS = int(np.ceil(np.log(_MOST_MS / _LEAST_MS) / np.log(_RATIO))) + 1
_MIDDLES = _LEAST_MS * _RATIO ** (np.arange(_BINS) + 0.5)
_PERCENTS = (50, 95, 99)


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """Milliseconds; nearest rank, to within half a percent; `max` is exact."""

    p50: float
    p95: float
    p99: float
    max: float


class Distribution:
    """How often which times occurred in each part of a run. The idea is HdrHistogram's."""

    def __init__(self, parts: int) -> None:
        self._counts = np.zeros((parts, _BINS), np.int64)
        self._sums = np.zeros(parts)
        self._most = np.zeros(parts)

    def add(self, part: NDArray[np.intp], ms: NDArray[np.float64]) -> None:
        """Count times, each in its part; a NaN was not measured."""
        known = ~np.isnan(ms)
        given, part = ms[known], part[known]
        places = np.log(np.maximum(given, _LEAST_MS) / _LEAST_MS) / np.log(_RATIO)
        flat = part * _BINS + np.minimum(places.astype(np.intp), _BINS - 1)
        np.add.at(self._counts.reshape(-1), flat, 1)
        np.add.at(self._sums, part, given)
        np.maximum.at(self._most, part, given)

    @property
    def total_ms(self) -> float:
        return float(self._sums.sum())

    def overall(self) -> Percentiles | None:
        """Return the percentiles over the run; None if nothing was counted."""
        return _percentiles(self._counts.sum(axis=0), float(self._most.max(initial=0)))

    def by_part(self) -> list[Percentiles | None]:
        return [_percentiles(counts, float(most)) for counts, most in zip(self._counts, self._most, strict=True)]


def _percentiles(counts: NDArray[np.int64], most: float) -> Percentiles | None:
    reached = np.cumsum(counts)
    if reached[-1] == 0:
        return None
    ranks = [-(-int(reached[-1]) * percent // 100) for percent in _PERCENTS]
    p50, p95, p99 = (min(float(_MIDDLES[place]), most) for place in np.searchsorted(reached, ranks))
    return Percentiles(p50=p50, p95=p95, p99=p99, max=most)
