"""In one look: what is done, in flight, waiting, failed and stalled, which workers live, and what to do."""

from __future__ import annotations

import shlex
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from broker.app import make_app
from broker.queue import check_broker, depth, unacknowledged, workers
from host.process import is_running
from producer.lease import LEASE_EXPIRY
from storage.figures import failures_by_kind, recent_workers
from storage.identity import database_identity
from storage.records import shown
from storage.runs import newest_run, progress, unfinished_runs
from storage.schema_version import existing_database
from storage.watching import pace
from vocabulary.languages import translatable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
        return is_followed(self.run, self.now)

    @property
    def pace_s(self) -> float:
        """The seconds of the pace: the last minute, or since the first of its chunks was begun, if that is less."""
        since = self.now - SPEED_WINDOW
        begun = max(self.pace.begun_at or since, since)
        return max((self.now - begun).total_seconds(), 1.0)  # no clock that was set makes any speed of it

    @property
    def images_per_second(self) -> float:
        """How fast the run is now."""
        return self.pace.images / self.pace_s

    @property
    def left(self) -> timedelta | None:
        """How long what is missing takes at this speed; None: nothing is, or nothing gets on."""
        speed = self.images_per_second
        return timedelta(seconds=self.progress.missing / speed) if speed and self.progress.missing else None

    @property
    def stalled_for(self) -> timedelta | None:
        """How long nothing has moved though workers have something to do; None if it moves, or they have nothing."""
        if not self.progress.chunks_published or self.pace.newest_at is None:
            return None
        quiet = self.now - self.pace.newest_at
        return quiet if quiet >= self.stall else None


class Advice(NamedTuple):
    """What a person should do, in words that can be translated before they are filled in."""

    text: str  #: with `{names}`
    values: Mapping[str, str]

    def __str__(self) -> str:
        return self.text.format(**self.values)


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
    return status_with(settings, database, queue_of(settings, database))


def status_with(settings: Settings, database: Database, queue: Queue | None) -> Status:
    """Return the status of an open database by its tables, and what is known of the queue.

    Raises:
        DatabaseError: it is out of reach.

    """
    unfinished, newest = unfinished_runs(database), newest_run(database)
    now = database.clock()
    shown_runs = unfinished or ([newest] if newest else [])
    return Status(
        database=database.shown,
        now=now,
        situations=tuple(situation_of(settings, database, run, queue, now) for run in shown_runs),
        is_unfinished=bool(unfinished),
        queue=queue,
        processes=recent_workers(database, now - WORKER_SILENCE),
    )


def situation_of(settings: Settings, database: Database, run: Run, queue: Queue | None, now: datetime) -> Situation:
    """Return a run as it is now, by the database's clock."""
    return Situation(
        run=run,
        now=now,
        progress=progress(database, run.id),
        pace=pace(database, run.id, now - SPEED_WINDOW),
        failures=failures_by_kind(database, run.id),
        queue=queue,
        stall=timedelta(seconds=settings.stall_limit_s),
    )


def queue_of(settings: Settings, database: Database) -> Queue | None:
    """Ask Redis and, for up to a second or two, all workers; None: no broker is set.

    Raises:
        BrokerError: Redis is out of reach.

    """
    if settings.broker_url is None:
        return None
    app = make_app(settings, database_identity(database))
    check_broker(app)
    return Queue(depth=depth(app), unacknowledged=unacknowledged(app), workers=workers(app))


def is_followed(run: Run, now: datetime) -> bool:
    """Tell whether a process follows a run, as far as can be told from here."""
    lives = is_running(run.follower_process)
    return run.followed_at is not None and (lives or (lives is None and abs(now - run.followed_at) < LEASE_EXPIRY))


def advice(situation: Situation) -> Advice:
    """Return what a person should do about a run."""
    run = situation.run
    if run.is_over:
        return Advice(_once_it_is_over(situation), {})
    if situation.is_followed:
        return Advice(_while_it_is_followed(situation), {})
    paths = " ".join(shlex.quote(shown(root)) for root in run.roots)
    again = f"nightlabel enqueue --wait {paths}" if situation.queue else f"nightlabel run {paths}"
    text = translatable(
        "nobody follows the run: the command that began it goes on with it, as in `{again}`; or give it up with"
        " `nightlabel cancel {run}`"
    )
    return Advice(text, {"again": again, "run": str(run.id)})


def _once_it_is_over(situation: Situation) -> str:
    if situation.run.state == "cancelled":
        return translatable("nothing: it was cancelled; the same command begins a new one")
    if situation.progress.failed:
        return translatable("nothing; `nightlabel retry` tries again what failed")
    return translatable("nothing")


def _while_it_is_followed(situation: Situation) -> str:
    if situation.queue and not situation.queue.workers:
        return translatable("no worker answers: start one with `nightlabel worker`")
    if situation.stalled_for:
        return translatable("the workers get nothing done: their logs say why; start them again")
    if situation.pace.images:
        return translatable("nothing: it is getting on")
    return translatable("nothing: it is about to begin")
