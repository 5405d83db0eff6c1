"""The status of runs, queue and workers as lines on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from host.process import is_running
from report.words import counted, duration
from runner.status import advice
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from runner.status import Queue, Situation, Status
    from storage.records import WorkerSample


def status_lines(status: Status) -> Iterator[str]:
    """Yield what there is to know of the runs, then of queue and workers."""
    if not status.situations:
        yield f"No run in {status.database}. `nightlabel run PATH` makes one."
    for situation in status.situations:
        yield from describe(situation)
    yield from _workers(status.queue, status.processes, status.now)


def describe(situation: Situation) -> Iterator[str]:
    """Yield a line for each thing that there is to know of a run, and last what to do."""
    run, state = situation.run, situation.progress
    yield f"Run {run.id}, {run.state}: {', '.join(map(shown, run.roots))}"
    yield f"  model     {run.model}"
    share = f" ({state.labelled / state.images:.1%})" if state.images else ""
    yield f"  done      {state.labelled:,} of {state.images:,} images{share}"
    kinds = ", ".join(f"{failure.images:,} {failure.kind}" for failure in situation.failures)
    yield f"  failed    {state.failed:,}{f': {kinds}' if kinds else ''}"
    if state.missing:
        on_queue = state.chunks_published - state.chunks_in_work
        in_flight = counted(state.images_in_work, "image"), counted(state.chunks_in_work, "chunk")
        yield f"  in flight {' in '.join(in_flight)}"
        yield f"  waiting   {counted(on_queue, 'chunk')} on the queue, {state.chunks_waiting:,} not yet published"
    if situation.left:
        speed = f"{situation.images_per_second:,.1f} images/s in the last minute"
        yield f"  speed     {speed}, {duration(situation.left.total_seconds())} left"
    if situation.stalled_for:
        yield f"  stalled   nothing has moved for {duration(situation.stalled_for.total_seconds())}"
    if situation.is_followed:
        yield f"  followed  by {run.follower}"
    yield f"  to do     {advice(situation)}"


def _workers(queue: Queue | None, seen: Sequence[WorkerSample], now: datetime) -> Iterator[str]:
    if queue:
        yield f"Queue: {queue.depth:,} waiting, {queue.unacknowledged:,} unacknowledged"
        for name, chunks in queue.workers.items():
            yield f"Worker {name}: {counted(chunks, 'chunk')} in work"
    for sample in seen:
        if sample.seen_at is None:
            continue
        ago = duration(max(0.0, (now - sample.seen_at).total_seconds()))  # a clock may have been set back
        ended = "; it has ended" if is_running(sample.process) is False else ""
        yield f"Process {sample.name}: stored a chunk {ago} ago, {sample.rss_bytes / 1e6:.0f} MB{ended}"
