"""What monitoring asks of the tables every few seconds: in one transaction, by indexes and by chunks, not by images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from storage.figures import read_recent_workers
from storage.runs import read_newest_run, read_progress, read_unfinished_runs
from storage.tables import outcomes
from storage.watching import read_failures, read_pace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from storage.database import Database
    from storage.records import Pace, Progress, Run, WorkerSample

#: Runs that are measured: the newest of those that are unfinished.
MOST_RUNS = 10


class RunMeasures(NamedTuple):
    """A run, and how it is getting on."""

    run: Run
    progress: Progress
    pace: Pace


@dataclass(frozen=True, kw_only=True)
class Measures:
    """A database at one moment."""

    now: datetime  #: by its own clock
    unfinished: int  #: runs
    runs: Sequence[RunMeasures]  #: the newest unfinished ones, and the newest with images if it is not among them
    failures: Mapping[str, int]  #: failed images of all runs by kind
    newest_outcome_at: datetime | None  #: None: there is no outcome
    workers: Sequence[WorkerSample]  #: the newest sample of those that have stored a chunk lately


def measure(database: Database, window: timedelta, silence: timedelta, *, time_limit_s: float) -> Measures:
    """Measure a database.

    Args:
        database: which.
        window: over which the pace of a run is taken.
        silence: a worker that has stored no chunk for as long is left out.
        time_limit_s: seconds that it may take, as `time_limit` has it.

    Raises:
        QueryTimeoutError: it took longer.

    """
    with database.read(time_limit_s=time_limit_s) as connection:
        now = database.now(connection)
        unfinished = read_unfinished_runs(connection)
        measured = {run.id: run for run in unfinished[-MOST_RUNS:]}
        newest = read_newest_run(connection)
        if newest:
            measured[newest.id] = newest
        return Measures(
            now=now,
            unfinished=len(unfinished),
            runs=tuple(
                RunMeasures(run, read_progress(connection, run.id), read_pace(connection, run.id, now - window))
                for run in measured.values()
            ),
            failures=read_failures(connection),
            newest_outcome_at=connection.execute(select(func.max(outcomes.c.labelled_at))).scalar(),
            workers=read_recent_workers(connection, now - silence),
        )
