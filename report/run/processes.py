"""What the processes of a run held and used over time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from report.memory import leak_verdict
from report.robust import Slope, slope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from report.memory import Verdict
    from storage.records import ProcessSample

#: Points of a process's curve that are kept for charts and machines.
CURVE_POINTS = 240


class Point(NamedTuple):
    """What a process held at a time, and its share of a CPU since the point before."""

    at: datetime
    rss_mb: float
    cpu: float | None


@dataclass(frozen=True, kw_only=True)
class ProcessFigures:
    """A place among a worker's processes: `host-PID/N` labels, `host-PID` is the main process above."""

    name: str
    pids: int  #: processes that had this place, one after the other
    curve: tuple[Point, ...]
    rss_slope: Slope | None  #: in MB; of the process that had the place longest
    watched_s: float  #: from the first to the last sample of that process
    cpu_share: float | None  #: of one CPU, 0…1 and above; None: too few samples
    store_s: float | None  #: seconds spent waiting for the database; None for a main process, and for too few samples

    @property
    def labels(self) -> bool:
        """Tell whether it labels; a main process does not."""
        return "/" in self.name

    @property
    def verdict(self) -> Verdict:
        return leak_verdict(self.rss_slope)


def process_figures(samples: Iterable[ProcessSample]) -> tuple[ProcessFigures, ...]:
    """Sum up what each process held and used.

    Args:
        samples: by process, the oldest first.

    """
    return tuple(_process(name, list(own)) for name, own in groupby(samples, key=lambda sample: sample.worker))


def _process(name: str, samples: Sequence[ProcessSample]) -> ProcessFigures:
    lives = _lives(samples)
    longest = max(lives, key=len)
    watched = [own for own in lives if len(own) > 1]
    spent_s = sum(own[-1].cpu_s - own[0].cpu_s for own in watched)
    lived_s = sum((own[-1].sampled_at - own[0].sampled_at).total_seconds() for own in watched)
    stored = [
        own[-1].store_s - own[0].store_s
        for own in watched
        if own[-1].store_s is not None and own[0].store_s is not None
    ]
    return ProcessFigures(
        name=name,
        watched_s=(longest[-1].sampled_at - longest[0].sampled_at).total_seconds(),
        pids=len(lives),
        curve=_curve(samples),
        rss_slope=slope([one.sampled_at.timestamp() for one in longest], [one.rss_bytes / 1e6 for one in longest]),
        cpu_share=spent_s / lived_s if lived_s else None,
        store_s=sum(stored) if stored else None,
    )


def _lives(samples: Sequence[ProcessSample]) -> list[list[ProcessSample]]:
    """Part samples by the process that they are of. A container that restarts gives its processes the same ids."""
    lives: list[list[ProcessSample]] = []
    for sample in samples:
        before = lives[-1][-1] if lives else None
        if before is None or sample.pid != before.pid or sample.cpu_s < before.cpu_s:
            lives.append([])
        lives[-1].append(sample)
    return lives


def _curve(samples: Sequence[ProcessSample]) -> tuple[Point, ...]:
    kept = [samples[int(place)] for place in np.linspace(0, len(samples) - 1, min(len(samples), CURVE_POINTS))]
    points = [Point(kept[0].sampled_at, kept[0].rss_bytes / 1e6, None)]
    for before, after in pairwise(kept):
        seconds = (after.sampled_at - before.sampled_at).total_seconds()
        is_same = before.pid == after.pid and after.cpu_s >= before.cpu_s and seconds > 0
        cpu = (after.cpu_s - before.cpu_s) / seconds if is_same else None
        points.append(Point(after.sampled_at, after.rss_bytes / 1e6, cpu))
    return tuple(points)
