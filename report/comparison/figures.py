"""Models side by side: the figures of each, and where they differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from report.disagreement import disagreement_as_json
from report.memory import leak_verdict
from report.robust import Slope, slope
from storage.records import Disagreement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.memory import Verdict
    from storage.records import JsonObject
    from worker.measure import Assignment, Sample

#: Disagreeing images that are named.
EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class Soak:
    """A soak test: one request per interval, for a long time."""

    seconds: float
    requests: int
    errors: int
    stalls: int  #: intervals without an answer: the request took longer, or could not begin, since another one did
    p50_ms: float
    p99_ms: float
    cpu_share: float | None  #: of one CPU, 0…1; None: of a single request, which took all the time, it is not known
    rss_slope: Slope | None

    @property
    def verdict(self) -> Verdict:
        return leak_verdict(self.rss_slope)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model in a precision, and what was measured of it."""

    model: str
    precision: str
    is_random: bool
    parameters: int
    file_mb: float | None  #: of the weights, in int8 of the quantised ones; None: there is no file
    input_px: int  #: of each side
    top1: float | None  #: share of the images whose truth is known, 0…1; None: no truth, or random weights
    top3: float | None
    latency_mean_ms: float
    latency_p50_ms: float
    latency_p99_ms: float
    images_per_second: float  #: on one thread
    load_s: float
    peak_rss_mb: float
    cpu_share: float
    errors: int
    soak: Soak | None
    labels: tuple[str | None, ...] = field(repr=False)  #: the best one, an image each; None: it failed
    right: tuple[bool | None, ...] = field(repr=False)  #: whether it is the true one, an image each; None: not known
    pid: int  #: of the process that measured it

    @property
    def name(self) -> str:
        return f"{self.model}, {self.precision}{', RANDOM WEIGHTS' if self.is_random else ''}"

    @property
    def has_failed(self) -> bool:
        """Tell whether requests of the soak test failed, of images that it could label before."""
        return self.soak is not None and self.soak.errors > 0

    @property
    def leaks(self) -> bool:
        return self.soak is not None and self.soak.verdict == "leak"

    def as_json(self) -> JsonObject:
        left_out = ("labels", "right", "pid", "is_random", "soak")
        fields = {name: value for name, value in asdict(self).items() if name not in left_out}
        return fields | {
            "random_weights": self.is_random,
            "long_time": asdict(self.soak) | {"verdict": self.soak.verdict} if self.soak else None,
        }


class NotMeasured(NamedTuple):
    """A model, or one precision of it, that could not be measured."""

    name: str
    reason: str

    def __str__(self) -> str:
        """Return the same as a sentence."""
        return f"{self.name} was not measured: {self.reason}{'' if self.reason.endswith(('.', '?')) else '.'}"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Candidates side by side."""

    images: int  #: that all were measured on
    candidates: tuple[Candidate, ...]
    not_measured: tuple[NotMeasured, ...] = ()
    is_complete: bool = True  #: False: it was interrupted
    disagreements: tuple[Disagreement, ...]
    recommendation: str

    @property
    def remarks(self) -> list[str]:
        """Return what a reader must know of the figures, a sentence each."""
        remarks = []
        if not self.is_complete:
            remarks.append("This is incomplete: it was interrupted before everything was measured.")
        remarks += [str(one) for one in self.not_measured]
        errors = max((one.errors for one in self.candidates), default=0)
        if errors:
            wrong = ", which counts as wrong" if any(one.top1 is not None for one in self.candidates) else ""
            remarks.append(f"{errors:,} of the {self.images:,} images could not be labelled{wrong}.")
        return remarks

    def as_json(self) -> JsonObject:
        """Return the same for other programs (`comparison.schema.json`)."""
        return {
            "complete": self.is_complete,
            "images": self.images,
            "models": [one.as_json() for one in self.candidates],
            "not_measured": [one._asdict() for one in self.not_measured],
            "disagreements": [disagreement_as_json(pair) for pair in self.disagreements],
            "recommendation": self.recommendation,
        }


def right_among(
    labels: Sequence[Sequence[tuple[str, float]]], truth: Sequence[str | None], rank: int
) -> tuple[bool | None, ...]:
    """Tell of each image whether its true label is among the first `rank`; None where the truth is not known.

    An image that failed is wrong.
    """
    return tuple(
        None if true is None else any(label == true for label, _ in one[:rank])
        for one, true in zip(labels, truth, strict=True)
    )


def accuracy(right: Sequence[bool | None]) -> float | None:
    """Return the share of the right images among those whose truth is known; None if there are none."""
    known = [one for one in right if one is not None]
    return sum(known) / len(known) if known else None


def soak_figures(samples: Sequence[Sample], assignment: Assignment) -> Soak | None:
    """Sum up the requests of a soak test; None if there were none."""
    if not samples:
        return None
    ms = [sample.ms for sample in samples]
    p50, p99 = np.percentile(ms, (50, 99))
    seconds = samples[-1].at_s - samples[0].at_s
    too_long = sum(sample.ms > assignment.interval_s * 1000 for sample in samples)
    return Soak(
        seconds=seconds,
        requests=len(samples),
        errors=sum(not sample.ok for sample in samples),
        stalls=too_long + assignment.slots - len(samples),
        p50_ms=float(p50),
        p99_ms=float(p99),
        cpu_share=(samples[-1].cpu_s - samples[0].cpu_s) / seconds if seconds else None,
        rss_slope=slope([sample.at_s for sample in samples], [sample.rss_mb for sample in samples]),
    )


def disagreements(candidates: Sequence[Candidate], paths: Sequence[str]) -> list[Disagreement]:
    """Compare each two candidates with trained weights."""
    trained = [candidate for candidate in candidates if not candidate.is_random]
    return [
        _disagreement(first, second, paths) for place, first in enumerate(trained) for second in trained[place + 1 :]
    ]


def _disagreement(first: Candidate, second: Candidate, paths: Sequence[str]) -> Disagreement:
    both = [
        (path, one, other)
        for path, one, other in zip(paths, first.labels, second.labels, strict=True)
        if one is not None and other is not None
    ]
    different = [(path, one, other) for path, one, other in both if one != other]
    return Disagreement(
        first=first.name,
        second=second.name,
        images=len(both),
        different=len(different),
        examples=tuple(different[:EXAMPLES]),
    )
