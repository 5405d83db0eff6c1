"""Accuracy, the soak test and disagreements, on planted measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from report.comparison.figures import accuracy, disagreements, right_among, soak_figures
from tests.unit.report.comparison.measurements import CANDIDATE, HOUR, asked, like
from worker.measure import Assignment


def test_an_image_that_failed_is_wrong_and_one_without_truth_does_not_count() -> None:
    labels = [[("tabby", 0.6), ("pug", 0.3)], [("pug", 0.9)], [], [("lynx", 0.5), ("tabby", 0.4)]]
    assert right_among(labels, ["tabby", "tabby", "tabby", None], 1) == (True, False, False, None)
    assert right_among(labels, ["tabby"] * 4, 3) == (True, False, False, True)
    assert accuracy((True, False, False, None)) == pytest.approx(1 / 3)
    assert accuracy((None, None)) is None


def test_a_steady_hour_has_no_leak() -> None:
    found = soak_figures(asked(), HOUR)
    assert found
    assert (found.requests, found.errors, found.stalls, found.verdict) == (1800, 0, 0, "steady")
    assert found.cpu_share == pytest.approx(0.05)
    assert found.p99_ms == 50.0


def test_a_leak_a_stall_and_an_error_are_found() -> None:
    samples = asked(leak=40.0)
    samples[7] = replace(samples[7], ms=2500.0)
    samples[9] = replace(samples[9], ok=False)
    found = soak_figures(samples, HOUR)
    assert found
    assert (found.errors, found.stalls, found.verdict) == (1, 1, "leak")
    assert found.rss_slope
    assert found.rss_slope.low < 40 < found.rss_slope.high


def test_requests_that_could_not_begin_are_stalls() -> None:
    samples = asked()
    samples[7] = replace(samples[7], ms=5500.0)
    del samples[8:10]
    found = soak_figures(samples, HOUR)
    assert found
    assert (found.requests, found.stalls) == (1798, 3)


def test_a_moment_is_too_short_for_a_verdict() -> None:
    found = soak_figures(asked()[:60], replace(HOUR, duration_s=120))
    assert found
    assert (found.stalls, found.verdict) == (0, "too short")


def test_of_a_single_request_the_share_of_the_cpu_is_not_known() -> None:
    found = soak_figures(asked()[:1], replace(HOUR, duration_s=4))
    assert found
    assert (found.requests, found.stalls, found.cpu_share) == (1, 1, None)


def test_without_requests_there_is_no_long_time() -> None:
    assert soak_figures([], Assignment()) is None


def test_each_two_with_trained_weights_are_compared_on_what_both_labelled() -> None:
    other = like(precision="int8", labels=("tabby", "boxer", "pizza", "lynx"))
    random = like(model="efficientnet_b0", is_random=True)
    (found,) = disagreements([CANDIDATE, other, random], ["1.jpg", "2.jpg", "3.jpg", "4.jpg"])
    assert (found.images, found.different, found.share) == (3, 2, 2 / 3)
    assert found.examples == (("2.jpg", "pug", "boxer"), ("4.jpg", "pizza", "lynx"))
    assert (found.first, found.second) == ("resnet18, fp32", "resnet18, int8")
