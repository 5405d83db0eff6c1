"""How steady a run was: drift, stalls, extra work, and what its processes held and used over time."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from report.robust import Slope, slope, variation
from report.run.processes import ProcessFigures, process_figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from report.run.throughput import MinuteFigures, Spans
    from storage.records import ChunkTime, ProcessSample

#: A time without any chunk done that is longer than this, though there was work, is a stall; where chunks usually take
#: longer, as on a slow machine, so many times as long as the median one.
STALL_S = 30.0
STALL_CHUNKS = 3


@dataclass(frozen=True, kw_only=True)
class Stall:
    """A time without any chunk done, though there was work: in a worker's hands, or on the queue."""

    begin: datetime
    seconds: float
    chunks: int  #: that had been published before and were done afterwards


@dataclass(frozen=True, kw_only=True)
class Stability:
    """How steady a run was."""

    variation: float | None  #: coefficient of variation of the images in whole minutes
    speed: Slope | None  #: in images per minute, over the whole minutes
    stalls: tuple[Stall, ...]
    republished: int  #: times that chunks were published again
    restarts: int  #: processes that took another one's place: a child its name, a main process its host's labelling
    processes: tuple[ProcessFigures, ...] = field(default=())

    @property
    def drift(self) -> float | None:
        """Return how much faster the end was than the beginning, by a robust line: 0.05 is 5 %; at least -1.

        Where a speed falls ever more slowly, a straight line comes to nothing before the end.
        """
        return max(0.0, self.speed.end) / self.speed.begin - 1 if self.speed and self.speed.begin > 0 else None

    @property
    def store_s(self) -> float | None:
        """Return the seconds that the processes waited for the database, together; None if it is known of none."""
        known = [process.store_s for process in self.processes if process.store_s is not None]
        return sum(known) if known else None


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
    processes = process_figures(samples)
    return Stability(
        variation=variation(images),
        speed=slope([minute.minute.timestamp() for minute in whole], images),
        stalls=tuple(_stalls(chunks)),
        republished=sum(chunk.attempt - 1 for chunk in chunks),
        restarts=sum(process.pids - 1 for process in processes) + _replaced_mains(chunks, times),
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


def _replaced_mains(chunks: Sequence[ChunkTime], times: Spans) -> int:
    """Count main processes that took over their host's labelling from another one.

    A main process that begins while another one of its host labels is one more worker, and one that begins after a
    pause was started with the run: neither is a replacement.
    """
    lives: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for chunk in chunks:
        host, main = _host_and_main(chunk.worker)
        lives[host][main] += [chunk.started_at, chunk.done_at]
    resumed = {begin for begin, _ in times.labelling}
    replaced = 0
    for of_host in lives.values():
        own = sorted((min(instants), max(instants)) for instants in of_host.values())
        replaced += sum(
            begin not in resumed and any(end <= begin for _, end in own[:place]) for place, (begin, _) in enumerate(own)
        )
    return replaced


def _host_and_main(worker: str) -> tuple[str, str]:
    """Return the host and the main process of `host-PID/N`."""
    found = re.fullmatch(r"(.*)-(\d+)/\d+", worker)
    return (found[1], found[2]) if found else (worker, "")
