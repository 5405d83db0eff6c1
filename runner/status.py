"""In one look: what is done, in flight, waiting, failed and stalled, which workers live, and what to do."""

from __future__ import annotations

import shlex
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from broker.app import make_app
from broker.queue import check_broker, depth, unacknowledged, workers
from host.process import is_running
from producer.lease import LEASE_EXPIRY
from storage.figures import failures_by_kind, pace, recent_workers
from storage.identity import database_identity
from storage.records import shown
from storage.runs import newest_run, progress, unfinished_runs
from storage.schema_version import existing_database

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from common.settings import Settings
    from storage.database import Database
    from storage.records import FailureCount, Pace, Progress, Run, WorkerSample

#: Over which the current speed is taken.
SPEED_WINDOW = timedelta(minutes=1)
#: A worker that has stored no chunk for as long is not shown.
WORKER_SILENCE = timedelta(minutes=10)


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
        return heard_of is not None and (lives or (lives is None and abs(self.now - heard_of) < LEASE_EXPIRY))

    @property
    def stalled_for(self) -> timedelta | None:
        """How long nothing has moved though workers have something to do; None if it moves, or they have nothing."""
        if not self.progress.chunks_published or self.pace.newest_at is None:
            return None
        quiet = self.now - self.pace.newest_at
        return quiet if quiet >= self.stall else None


@dataclass(frozen=True, kw_only=True)
class Status:
    """The runs of a database, its queue and its workers, as they are now."""

    database: str  #: its URL, without a password
    now: datetime
    situations: tuple[Situation, ...]  #: of the runs that are not finished; of the newest, if all are; none: no run
    is_unfinished: bool  #: a run is not finished
    queue: Queue | None
    processes: Sequence[WorkerSample]  #: that have stored a chunk within `WORKER_SILENCE`


def status(settings: Settings) -> Status:
    """Look at the runs, the queue and the workers.

    Raises:
        DatabaseError: there is no such database, or it is out of reach.
        BrokerError: Redis is out of reach.

    """
    with closing(existing_database(settings.database_url)) as database:
        return status_of(settings, database)


def status_of(settings: Settings, database: Database) -> Status:
    """Return the status of an open database; raise as `status` does."""
    unfinished, newest = unfinished_runs(database), newest_run(database)
    queue = _queue(settings, database)
    now = database.clock()
    shown_runs = unfinished or ([newest] if newest else [])
    return Status(
        database=database.shown,
        now=now,
        situations=tuple(_situation(settings, database, run, queue, now) for run in shown_runs),
        is_unfinished=bool(unfinished),
        queue=queue,
        processes=recent_workers(database, now - WORKER_SILENCE),
    )


def _situation(settings: Settings, database: Database, run: Run, queue: Queue | None, now: datetime) -> Situation:
    return Situation(
        run=run,
        now=now,
        progress=progress(database, run.id),
        pace=pace(database, run.id, now - SPEED_WINDOW),
        failures=failures_by_kind(database, run.id),
        queue=queue,
        stall=timedelta(seconds=settings.stall_limit_s),
    )


def _queue(settings: Settings, database: Database) -> Queue | None:
    if settings.broker_url is None:
        return None
    app = make_app(settings, database_identity(database))
    check_broker(app)
    return Queue(depth=depth(app), unacknowledged=unacknowledged(app), workers=workers(app))


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
