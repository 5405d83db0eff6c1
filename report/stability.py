"""How steady a run was: drift, stalls, extra work, and what its processes held and used over time."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from report.robust import Slope, slope, variation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from report.throughput import MinuteFigures, Spans
    from storage.records import ChunkTime, ProcessSample

#: A time without any chunk done that is longer than this, though there was work, is a stall; where chunks usually take
#: longer, as on a slow machine, so many times as long as the middle one.
STALL_S = 30.0
STALL_CHUNKS = 3
#: Megabytes an hour that a process must grow by, for sure, to be called leaky, 24 MB in a night; and that it must have
#: grown by. The interval takes samples for independent of each other, which an allocator's steps are not: alone, it
#: would call the last step before a plateau a leak.
LEAK_MB_AN_HOUR = 3.0
LEAK_MB = 10.0
#: Hours below which no slope says anything: what looks like growth is an allocator finding its size.
LEAST_HOURS = 0.25
#: Points of a process's curve that are kept for charts and machines.
CURVE_POINTS = 240

Verdict = Literal["steady", "leak", "unclear", "too short"]


@dataclass(frozen=True, kw_only=True)
class Stall:
    """A time without any chunk done, though there was work: in a worker's hands, or on the queue."""

    begin: datetime
    seconds: float
    chunks: int  #: that had been published before and were done afterwards


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


def leak_verdict(rise: Slope | None) -> Verdict:
    """Say of a process's memory whether it leaks.

    It does where the whole interval lies above `LEAK_MB_AN_HOUR`, and the line rose by `LEAK_MB`.
    """
    if rise is None or rise.hours < LEAST_HOURS:
        return "too short"
    if rise.low > LEAK_MB_AN_HOUR and rise.end - rise.begin >= LEAK_MB:
        return "leak"
    return "steady" if rise.high <= LEAK_MB_AN_HOUR else "unclear"


@dataclass(frozen=True, kw_only=True)
class Stability:
    """How steady a run was."""

    variation: float | None  #: coefficient of variation of the images in whole minutes
    speed: Slope | None  #: in images a minute, over the whole minutes
    stalls: tuple[Stall, ...]
    published_again: int  #: times that chunks were published again
    restarts: int  #: processes that took the place of another one
    processes: tuple[ProcessFigures, ...] = field(default=())

    @property
    def drift(self) -> float | None:
        """Return how much faster the end was than the beginning, by a robust line: 0.05 is 5 %; at least -1.

        Where a speed falls ever more slowly, a straight line comes to nothing before the end.
        """
        return max(0.0, self.speed.end) / self.speed.begin - 1 if self.speed and self.speed.begin > 0 else None


def stability(
    chunks: Sequence[ChunkTime], minutes: Sequence[MinuteFigures], times: Spans, samples: Iterable[ProcessSample]
) -> Stability:
    """Work out how steady a run was.

    Args:
        chunks: the finished ones, in the order in which they ended.
        minutes: all of the labelling.
        times: labelling and pauses.
        samples: by process, the oldest first.

    """
    whole = [minute for minute in minutes if minute.is_whole]
    images = [minute.images for minute in whole]
    processes = tuple(
        _process_figures(name, list(own)) for name, own in groupby(samples, key=lambda sample: sample.worker)
    )
    return Stability(
        variation=variation(images),
        speed=slope([minute.minute.timestamp() for minute in whole], images),
        stalls=tuple(_stalls(chunks)),
        published_again=sum(chunk.attempt - 1 for chunk in chunks),
        restarts=_restarts(chunks, times, processes),
        processes=processes,
    )


def _stalls(chunks: Sequence[ChunkTime]) -> Iterator[Stall]:
    """Yield the gaps between two ends of chunks, or between the run's begin and the first one.

    A pause is no stall if nothing was published when it began: what is interrupted publishes anew when it goes on.
    """
    if not chunks:
        return
    begin = min(chunk.started_at for chunk in chunks)
    ends = np.array([begin.timestamp(), *(chunk.done_at.timestamp() for chunk in chunks)])
    published = np.array([chunk.published_at.timestamp() if chunk.published_at else np.inf for chunk in chunks])
    usual_s = float(np.median([(chunk.done_at - chunk.started_at).total_seconds() for chunk in chunks]))
    gaps_s = np.diff(ends)
    for place in np.flatnonzero(gaps_s > max(STALL_S, STALL_CHUNKS * usual_s)).tolist():
        waiting = int((published[place:] <= ends[place]).sum())  # of those that ended after the gap
        if waiting:
            yield Stall(
                begin=chunks[place - 1].done_at if place else begin, seconds=float(gaps_s[place]), chunks=waiting
            )


def _process_figures(name: str, samples: Sequence[ProcessSample]) -> ProcessFigures:
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


def _restarts(chunks: Sequence[ChunkTime], times: Spans, processes: Sequence[ProcessFigures]) -> int:
    """Count processes that took another one's place: a child its name, a main process its host's labelling.

    A main process that begins while another one of its host labels is one more worker, and one that begins after a
    pause was started with the run: neither is a replacement.
    """
    children = sum(process.pids - 1 for process in processes)
    lives: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for chunk in chunks:
        host, main = _host_and_main(chunk.worker)
        lives[host][main] += [chunk.started_at, chunk.done_at]
    resumed = {begin for begin, _ in times.labelling}
    mains = 0
    for of_host in lives.values():
        own = sorted((min(instants), max(instants)) for instants in of_host.values())
        mains += sum(
            begin not in resumed and any(end <= begin for _, end in own[:place]) for place, (begin, _) in enumerate(own)
        )
    return children + mains


def _host_and_main(worker: str) -> tuple[str, str]:
    """Return the host and the main process of `host-PID/N`."""
    found = re.fullmatch(r"(.*)-(\d+)/\d+", worker)
    return (found[1], found[2]) if found else (worker, "")
