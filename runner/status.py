"""`nightlabel status`: in one look, what is done, in flight, waiting, failed, stalled, who labels, and what to do."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from common.errors import BrokerBusyError, DatabaseBusyError
from host.process import is_running
from report.words import duration
from runner.follower import FOLLOWER_SILENCE
from storage.figures import failures_by_kind, pace, recent_workers
from storage.identity import identity_of
from storage.records import shown
from storage.runs import newest_run, progress, unfinished_runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from rich.console import Console

    from common.settings import Settings
    from storage.database import Database
    from storage.records import FailureCount, Pace, Progress, Run, WorkerSample

#: Over which the current speed is taken.
SPEED_WINDOW = timedelta(minutes=1)
#: A worker that has stored no chunk for as long is not shown.
WORKER_SILENCE = timedelta(minutes=10)
#: Seconds between two looks of `--watch`.
WATCH_EVERY_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Queue:
    """What Redis and the workers that answer on it say."""

    depth: int
    unacknowledged: int
    workers: dict[str, int]  #: chunks in work by the worker's name


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A run, as it is now."""

    run: Run
    now: datetime
    progress: Progress
    pace: Pace
    failures: Sequence[FailureCount]
    queue: Queue | None  #: None: no broker is set
    stall: timedelta  #: without any outcome for as long, a run with work has stalled

    @property
    def is_followed(self) -> bool:
        heard_of = self.run.followed_at
        lives = is_running(self.run.follower_process)
        return heard_of is not None and (lives or (lives is None and abs(self.now - heard_of) < FOLLOWER_SILENCE))

    @property
    def stalled_for(self) -> timedelta | None:
        """How long nothing has moved though workers have something to do; None if it moves, or they have nothing."""
        if not self.progress.chunks_published or self.pace.newest_at is None:
            return None
        quiet = self.now - self.pace.newest_at
        return quiet if quiet >= self.stall else None


def print_status(settings: Settings, database: Database, console: Console) -> None:
    for line in _look(settings, database, unfinished_runs(database)):
        console.print(line, soft_wrap=True)


def watch_status(settings: Settings, database: Database, console: Console) -> None:
    """Show the status anew every two seconds until no run is unfinished; also through an outage."""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            try:
                unfinished = unfinished_runs(database)
                live.update(Group(*_look(settings, database, unfinished)), refresh=True)
                if not unfinished:
                    return
            except (BrokerBusyError, DatabaseBusyError) as error:
                live.update(Text(str(error)), refresh=True)
            time.sleep(WATCH_EVERY_S)


def _look(settings: Settings, database: Database, unfinished: Sequence[Run]) -> list[Text]:
    return [Text(line) for line in _lines(settings, database, unfinished)]


def _lines(settings: Settings, database: Database, unfinished: Sequence[Run]) -> Iterator[str]:
    newest = newest_run(database)
    queue = _queue(settings, database)
    now = database.clock()
    if newest is None:
        yield f"No run in {database.shown}. `nightlabel run PATH` makes one."
    else:
        for run in unfinished or [newest]:
            situation = Situation(
                run=run,
                now=now,
                progress=progress(database, run.id),
                pace=pace(database, run.id, now - SPEED_WINDOW),
                failures=failures_by_kind(database, run.id),
                queue=queue,
                stall=timedelta(seconds=settings.stall_limit_s),
            )
            yield from describe(situation)
    yield from _workers(queue, recent_workers(database, now - WORKER_SILENCE), now)


def _queue(settings: Settings, database: Database) -> Queue | None:
    if settings.broker_url is None:
        return None
    from broker.app import make_app
    from broker.queue import check_broker, depth, unacknowledged, workers

    app = make_app(settings, identity_of(database))
    check_broker(app)
    return Queue(depth=depth(app), unacknowledged=unacknowledged(app), workers=workers(app))


def describe(situation: Situation) -> Iterator[str]:
    """Yield a line for each thing that there is to know of a run, and last what to do."""
    run, state, pace_now = situation.run, situation.progress, situation.pace
    yield f"Run {run.id}, {run.state}: {', '.join(map(shown, run.roots))}"
    yield f"  model     {run.model}"
    share = f" ({state.labelled / state.images:.1%})" if state.images else ""
    yield f"  done      {state.labelled:,} of {state.images:,} images{share}"
    kinds = ", ".join(f"{failure.images:,} {failure.kind}" for failure in situation.failures)
    yield f"  failed    {state.failed:,}{f': {kinds}' if kinds else ''}"
    if state.missing:
        on_queue = state.chunks_published - state.chunks_in_work
        yield f"  in flight {state.images_in_work:,} images in {state.chunks_in_work:,} chunks"
        yield f"  waiting   {on_queue:,} chunks on the queue, {state.chunks_waiting:,} not yet published"
    if state.missing and pace_now.images:
        speed = pace_now.images / SPEED_WINDOW.total_seconds()
        yield f"  speed     {speed:,.1f} images/s in the last minute, {duration(state.missing / speed)} left"
    if situation.stalled_for:
        yield f"  stalled   nothing has moved for {duration(situation.stalled_for.total_seconds())}"
    if situation.is_followed:
        yield f"  followed  by {run.follower}"
    yield f"  to do     {advice(situation)}"


def advice(situation: Situation) -> str:
    """Return what a person should do about a run."""
    run, queue = situation.run, situation.queue
    if run.state == "cancelled":
        return "nothing: it was cancelled; the same command begins a new one"
    if run.state == "finished":
        return "nothing; `nightlabel retry` tries again what failed" if situation.progress.failed else "nothing"
    if not situation.is_followed:
        paths = " ".join(shlex.quote(shown(root)) for root in run.roots)
        again = f"nightlabel enqueue --wait {paths}" if queue else f"nightlabel run {paths}"
        return (
            f"nobody follows the run: the command that began it goes on with it, as in `{again}`;"
            f" or give it up with `nightlabel cancel {run.id}`"
        )
    if queue and not queue.workers:
        return "no worker answers: start one with `nightlabel worker`"
    if situation.stalled_for:
        return "the workers get nothing done: their logs say why; start them again"
    return "nothing: it is getting on" if situation.pace.images else "nothing: it is about to begin"


def _workers(queue: Queue | None, seen: Sequence[WorkerSample], now: datetime) -> Iterator[str]:
    if queue:
        yield f"Queue: {queue.depth:,} chunks wait, {queue.unacknowledged:,} are taken"
        for name, chunks in queue.workers.items():
            yield f"Worker {name}: {chunks} chunks in work"
    for sample in seen:
        if sample.seen_at is None:
            continue
        ago = duration(max(0.0, (now - sample.seen_at).total_seconds()))  # a clock may have been set back
        ended = "; it has ended" if is_running(sample.process) is False else ""
        yield f"Process {sample.name}: stored a chunk {ago} ago, {sample.rss_bytes / 1e6:.0f} MB{ended}"
