"""Planted measurements of models, from which comparisons are made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from report.comparison.figures import Candidate, accuracy
from worker.measure import Assignment, Sample

if TYPE_CHECKING:
    from collections.abc import Container

CANDIDATE = Candidate(
    model="resnet18",
    precision="fp32",
    is_random=False,
    parameters=11_689_512,
    file_mb=46.8,
    input_px=224,
    top1=None,
    top3=None,
    latency_mean_ms=50.0,
    latency_p50_ms=49.0,
    latency_p99_ms=60.0,
    images_per_second=20.0,
    load_s=0.7,
    peak_rss_mb=220.0,
    cpu_share=0.99,
    errors=0,
    soak=None,
    labels=("tabby", "pug", None, "pizza"),
    right=(None,) * 4,
    pid=4711,
)
PUBLISHED = {"resnet18": 0.70, "mobilenet_v2": 0.72, "shufflenet_v2_x1_0": None}
#: An hour of one request in two seconds.
HOUR = Assignment(duration_s=3600, interval_s=2)


def like(**given: Any) -> Candidate:
    return replace(CANDIDATE, **given)


def marked(wrong: Container[int], **given: Any) -> Candidate:
    """Return a candidate that is right on 200 images, but for some."""
    right = tuple(number not in wrong for number in range(200))
    return like(right=right, top1=accuracy(right), **given)


def asked(*, ms: float = 50.0, leak: float = 0.0) -> list[Sample]:
    """One request every two seconds, for an hour, with steady memory."""
    noise = np.random.default_rng(1).normal(0, 0.2, 1800)
    return [
        Sample(at_s=2.0 * n, ms=ms, rss_mb=200 + float(noise[n]) + leak * n / 1800, cpu_s=0.1 * n, ok=True)
        for n in range(1800)
    ]


def with_errors(count: int) -> list[Sample]:
    samples = asked()
    samples[:count] = [replace(sample, ok=False) for sample in samples[:count]]
    return samples
