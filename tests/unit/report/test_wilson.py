"""The interval of a share: against the test that it inverts, computed otherwise, and by what it promises."""

from __future__ import annotations

import random
from math import sqrt

import pytest
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

from report.wilson import wilson_interval

CASES = [(0, 1), (1, 1), (0, 10), (10, 10), (1, 10), (9, 10), (41, 50), (49, 50), (101, 125), (500, 1000), (3, 10_000)]


@pytest.mark.parametrize(("right", "answers"), CASES)
def test_it_is_scipys(right: int, answers: int) -> None:
    theirs = binomtest(right, answers).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right, answers) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(("right", "answers"), [case for case in CASES if 0 < case[0] < case[1]])
def test_its_ends_are_the_shares_that_the_score_test_just_does_not_refuse(right: int, answers: int) -> None:
    """Found by root-finding, without the formula: |p̂ - p| is z standard errors of p."""
    z = float(norm.ppf(0.975))

    def beyond(p: float) -> float:
        return abs(right / answers - p) - z * sqrt(p * (1 - p) / answers)

    low, high = wilson_interval(right, answers)
    assert low == pytest.approx(brentq(beyond, 1e-12, right / answers, xtol=1e-14), abs=1e-9)
    assert high == pytest.approx(brentq(beyond, right / answers, 1 - 1e-12, xtol=1e-14), abs=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_of_many_samples_about_95_in_100_hold_the_true_share(share: float) -> None:
    dice = random.Random(1)  # noqa: S311 - the same samples every time
    held = 0
    for _ in range(2000):
        low, high = wilson_interval(sum(dice.random() < share for _ in range(50)), 50)
        held += low <= share <= high
    assert 0.92 < held / 2000 < 0.98
