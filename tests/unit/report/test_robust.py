"""Slopes that an outlier does not change, and that say how far they can be trusted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import theilslopes

from report.robust import WARM_UP, slope, variation

HOURS = np.linspace(0, 8, 2000)
NOISE = np.random.default_rng(3).normal(0, 2, len(HOURS))


def test_a_line_is_found_through_noise_and_outliers() -> None:
    values = 200 + 5 * HOURS + NOISE
    values[::50] += 300
    found = slope(HOURS * 3600, values)
    assert found
    assert found.low < 5 < found.high
    assert found.per_hour == pytest.approx(5, abs=0.2)
    assert found.high - found.low < 0.5


@pytest.mark.parametrize("seed", range(8))
def test_it_is_the_slope_that_scipy_finds_ties_included(seed: int) -> None:
    draw = np.random.default_rng(seed)
    hours = np.sort(draw.choice(50 if seed % 2 else 10_000, draw.integers(12, 400))) / 10
    values = 200 + draw.normal(0, 3, len(hours)).round(seed % 3)
    later = hours >= hours[0] + WARM_UP * (hours[-1] - hours[0])
    found, theirs = slope(hours * 3600, values), theilslopes(values[later], hours[later])
    assert found
    assert (found.per_hour, found.low, found.high) == pytest.approx((theirs.slope, theirs.low_slope, theirs.high_slope))
    assert found.begin == pytest.approx(theirs.intercept + theirs.slope * hours[later][0])


def test_without_growth_the_interval_holds_zero() -> None:
    found = slope(HOURS * 3600, 200 + NOISE)
    assert found
    assert found.low < 0 < found.high


def test_what_happens_while_warming_up_does_not_count() -> None:
    values = np.where(HOURS < 0.7, 100 + 100 * HOURS, 200)
    found = slope(HOURS * 3600, values)
    assert found
    assert found.per_hour == pytest.approx(0, abs=1e-6)
    assert found.hours == pytest.approx(7.2, abs=0.05)


def test_its_ends_are_those_of_the_line() -> None:
    found = slope(HOURS * 3600, 10 + HOURS)
    assert found
    assert [found.begin, found.end] == pytest.approx([10.8, 18], abs=0.02)


@pytest.mark.parametrize("count", [0, 1, 9])
def test_few_points_have_no_slope(count: int) -> None:
    assert slope(np.arange(count), np.arange(count)) is None


def test_points_of_one_moment_have_no_slope() -> None:
    assert slope(np.zeros(50), np.arange(50)) is None


def test_variation_is_the_deviation_by_the_mean() -> None:
    assert variation([90, 100, 110]) == pytest.approx(0.1)


@pytest.mark.parametrize("values", [[], [7], [0, 0, 0]])
def test_what_does_not_vary_has_no_variation(values: list[int]) -> None:
    assert variation(values) is None
