"""Percentiles in bounded memory, held against numpy's on all values."""

from __future__ import annotations

import numpy as np
import pytest

from report.run.distribution import Distribution

MS = np.random.default_rng(5).lognormal(3, 1.5, 30_000)
PARTS = np.arange(len(MS)) * 4 // len(MS)


@pytest.fixture
def distribution() -> Distribution:
    found = Distribution(4)
    for start in range(0, len(MS), 7000):
        found.add(PARTS[start : start + 7000], MS[start : start + 7000])
    return found


def exact(values: np.ndarray, percent: int) -> float:
    return float(np.percentile(values, percent, method="inverted_cdf"))


def test_percentiles_are_right_within_half_a_percent(distribution: Distribution) -> None:
    found = distribution.overall()
    assert found
    for percent, value in ((50, found.p50), (95, found.p95), (99, found.p99)):
        assert value == pytest.approx(exact(MS, percent), rel=0.005)


def test_the_largest_value_is_exact(distribution: Distribution) -> None:
    found = distribution.overall()
    assert found
    assert found.max == MS.max()


def test_each_part_has_its_own(distribution: Distribution) -> None:
    parts = distribution.by_part()
    assert len(parts) == len(set(PARTS.tolist())) > 1
    for part, found in enumerate(parts):
        assert found
        assert found.p95 == pytest.approx(exact(MS[part == PARTS], 95), rel=0.005)


def test_sums_are_exact(distribution: Distribution) -> None:
    assert distribution.total_ms == pytest.approx(MS.sum())


def test_what_was_not_measured_does_not_count() -> None:
    found = Distribution(1)
    found.add(np.zeros(4, np.intp), np.array([np.nan, 1.0, np.nan, 3.0]))
    assert found.total_ms == 4
    assert found.overall()


def test_nothing_has_no_percentiles() -> None:
    found = Distribution(2)
    found.add(np.array([0]), np.array([np.nan]))
    assert (found.overall(), found.by_part()) == (None, [None, None])


@pytest.mark.parametrize("ms", [0.0, 1e-9, 1e12])
def test_values_out_of_range_are_kept_at_its_ends(ms: float) -> None:
    found = Distribution(1)
    found.add(np.array([0]), np.array([ms]))
    percentiles = found.overall()
    assert percentiles
    assert percentiles.max == ms
    assert percentiles.p50 <= ms
