"""All that is shown of the runs at one moment, read in short transactions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from common.errors import BrokerError
from runner.status import SPEED_WINDOW, Queue, Situation, advice, queue_of, situation_of, status_with
from runner.stop import why_not_from_here
from storage.runs import get_run
from storage.watching import EndedRun, WorkerPace, ended_runs, labelled_over_time, worker_paces

if TYPE_CHECKING:
    from datetime import datetime

    from common.settings import Settings
    from runner.status import Advice
    from storage.database import Database
    from storage.records import Run

#: Runs that are over and listed.
_ENDED_RUNS = 20
#: Points of the chart, at most, and what one of them may stand for, in seconds.
_MOST_POINTS = 120
_STEPS_S = (1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 21_600, 86_400)
#: Asking all workers takes a second or two, and each of them a moment.
_QUEUE_S = 15.0


class Speed(NamedTuple):
    """How many images were labelled in one step of the chart."""

    at: datetime  #: the step's begin
    images_per_second: float


@dataclass(frozen=True, kw_only=True)
class WatchedRun:
    """A run, as it is now."""

    situation: Situation
    advice: Advice
    workers: list[WorkerPace]  #: those with the most images first
    speeds: list[Speed]  #: of whole steps that are over, in order; 0 where nothing was labelled
    why_no_stop: str | None  #: why it cannot be stopped from here; None: it can
    is_stopping: bool  #: whoever follows it was asked to end, and has not ended yet

    @property
    def run(self) -> Run:
        return self.situation.run

    @property
    def is_over(self) -> bool:
        return self.run.is_over

    @property
    def tells(self) -> object:
        """What is shown of it, as finely as it is shown: it changes with time alone, too."""
        now = self.situation
        return (
            (self.run, now.progress, now.failures, self.speeds, self.workers),
            (round(now.images_per_second, 1), now.stalled_for and now.stalled_for // timedelta(minutes=1)),
            (str(self.advice), self.is_stopping, self.why_no_stop),
        )

    def recent_speed(self, worker: WorkerPace) -> float:
        """Return a worker's images a second in the last minute."""
        return worker.recent / self.situation.pace_s


@dataclass(frozen=True, kw_only=True)
class Night:
    """The runs at one moment."""

    runs: tuple[WatchedRun, ...]  #: that are not finished; the newest, if all are
    ended: tuple[EndedRun, ...]  #: the newest first
    is_unfinished: bool
    broker_error: str | None  #: why nothing is known of the queue

    @property
    def tells(self) -> object:
        """What makes two moments differ for those who watch."""
        return [run.tells for run in self.runs], self.ended, self.broker_error


class Watch:
    """Reads what runs are like, and remembers what the queue said: call it in a thread, one at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queue: Queue | None = None
        self._broker_error: str | None = None
        self._asked_at = -_QUEUE_S

    def look(self, database: Database, is_stopping: frozenset[str]) -> Night:
        """Return the runs at this moment.

        Args:
            database: where they are.
            is_stopping: the processes that were asked to end.

        Raises:
            DatabaseError: it is out of reach.

        """
        self._ask_queue(database)
        status = status_with(self._settings, database, self._queue)
        watched = tuple(_watched(database, situation, is_stopping) for situation in status.situations)
        shown = {run.run.id for run in watched}
        return Night(
            runs=watched,
            ended=tuple(one for one in ended_runs(database, _ENDED_RUNS) if one.run.id not in shown),
            is_unfinished=status.is_unfinished,
            broker_error=self._broker_error,
        )

    def look_at(self, database: Database, run_id: int, is_stopping: frozenset[str]) -> WatchedRun | None:
        """Return one run, which may be over; None: there is no such run."""
        run = get_run(database, run_id)
        if run is None:
            return None
        situation = situation_of(self._settings, database, run, self._queue, database.clock())
        return _watched(database, situation, is_stopping)

    def _ask_queue(self, database: Database) -> None:
        if time.monotonic() - self._asked_at < _QUEUE_S:
            return
        self._asked_at = time.monotonic()
        self._queue, self._broker_error = None, None
        try:
            self._queue = queue_of(self._settings, database)
        except BrokerError as error:  # the tables say enough, and the run itself says what is wrong with Redis
            self._broker_error = str(error)


def _watched(database: Database, situation: Situation, is_stopping: frozenset[str]) -> WatchedRun:
    run = situation.run
    return WatchedRun(
        situation=situation,
        advice=advice(situation),
        workers=worker_paces(database, run.id, situation.now - SPEED_WINDOW),
        speeds=_speeds(database, situation),
        why_no_stop=why_not_from_here(run, situation.now),
        is_stopping=run.follower_process in is_stopping and situation.is_followed,
    )


def _speeds(database: Database, situation: Situation) -> list[Speed]:
    """Return the speed over the run's time, or over its newest part where that is long."""
    run = situation.run
    end = situation.now
    if run.is_over and situation.pace.newest_at:
        end = situation.pace.newest_at
    lasted_s = max((end - run.created_at).total_seconds(), 0.0)
    step_s = next((step for step in _STEPS_S if lasted_s <= step * _MOST_POINTS), _STEPS_S[-1])
    begin = max(run.created_at, end - timedelta(seconds=step_s * _MOST_POINTS))
    counted = dict(labelled_over_time(database, run.id, begin, end, step_s))
    if not counted:
        return []
    step, first = timedelta(seconds=step_s), min(counted)
    steps = int((end - first) / step)  # the last one is not over
    return [Speed(first + number * step, counted.get(first + number * step, 0) / step_s) for number in range(steps)]
