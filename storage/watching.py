"""What is asked of runs again and again while somebody watches them: sums over their chunks, never over images."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, Integer, case, cast, func, select

from storage.records import Pace
from storage.runs import run_of_row, select_runs
from storage.tables import chunks, outcomes, runs

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from storage.database import Database
    from storage.records import Run


class WorkerPace(NamedTuple):
    """What one worker process has done of a run."""

    name: str
    images: int
    recent: int  #: of these, in chunks done since the time that was asked for
    newest_at: datetime  #: when its newest chunk was done


class EndedRun(NamedTuple):
    """A run that is over."""

    run: Run
    images: int
    ok: int
    failed: int
    done_at: datetime | None  #: when its newest chunk was done; None: it was cancelled before any was


def pace(database: Database, run_id: int, since: datetime) -> Pace:
    """Return when the run last moved, and how many images it has labelled since a time."""
    with database.read() as connection:
        return read_pace(connection, run_id, since)


def read_pace(connection: Connection, run_id: int, since: datetime) -> Pace:
    """Return the same as `pace`, as a transaction sees it."""
    newest = func.max(func.coalesce(chunks.c.done_at, chunks.c.started_at))
    is_recent = chunks.c.done_at >= since
    labelled = func.coalesce(func.sum(case((is_recent, chunks.c.images), else_=0)), 0)
    begun = func.min(case((is_recent, chunks.c.started_at)))
    query = select(newest, labelled, begun).where(chunks.c.run_id == run_id)
    newest_at, images, begun_at = connection.execute(query).one()
    return Pace(newest_at=newest_at, images=int(images), begun_at=begun_at)


def worker_paces(database: Database, run_id: int, since: datetime) -> list[WorkerPace]:
    """Return what each worker process has labelled of a run, those with the most images first."""
    labelled = func.sum(chunks.c.images)
    query = (
        select(
            chunks.c.worker,
            labelled,
            func.sum(case((chunks.c.done_at >= since, chunks.c.images), else_=0)),
            func.max(chunks.c.done_at),
        )
        .where(chunks.c.run_id == run_id, chunks.c.done_at.is_not(None), chunks.c.worker.is_not(None))
        .group_by(chunks.c.worker)
        .order_by(labelled.desc(), chunks.c.worker)
    )
    with database.read() as connection:
        return [
            WorkerPace(name, int(images), int(recent), newest)
            for name, images, recent, newest in connection.execute(query)
        ]


def labelled_over_time(
    database: Database, run_id: int, begin: datetime, end: datetime, step_s: int
) -> list[tuple[datetime, int]]:
    """Count the images whose chunk was done between two times.

    Args:
        database: where.
        run_id: of the run.
        begin: from here on.
        end: up to here; what a clock that was wrong has put behind it is left out.
        step_s: seconds that are counted together.

    Returns:
        The begin of each step in which there were any, in order, and how many.

    """
    step = _epoch_s(database, chunks.c.done_at) // step_s
    query = (
        select(step, func.sum(chunks.c.images))
        .where(chunks.c.run_id == run_id, chunks.c.done_at >= begin, chunks.c.done_at <= end)
        .group_by(step)
        .order_by(step)
    )
    with database.read() as connection:
        return [
            (datetime.fromtimestamp(number * step_s, UTC), int(images)) for number, images in connection.execute(query)
        ]


def _epoch_s(database: Database, instant: ColumnElement[datetime]) -> ColumnElement[Any]:
    """Return whole seconds since 1970."""
    if database.is_sqlite:
        return cast(func.strftime("%s", instant), Integer)
    return cast(func.floor(func.extract("epoch", instant)), BigInteger)


def ended_runs(database: Database, count: int) -> list[EndedRun]:
    """Return the runs with images in their manifest that are finished or cancelled, the newest first."""
    has_images = select(chunks.c.id).where(chunks.c.run_id == runs.c.id).exists()
    query = select_runs(unfinished=False).where(has_images).order_by(runs.c.id.desc()).limit(count)
    with database.read() as connection:
        found = [run_of_row(row) for row in connection.execute(query)]
        sums = (
            select(
                chunks.c.run_id,
                func.sum(chunks.c.images),
                func.coalesce(func.sum(chunks.c.ok), 0),
                func.coalesce(func.sum(chunks.c.failed), 0),
                func.max(chunks.c.done_at),
            )
            .where(chunks.c.run_id.in_([run.id for run in found]))
            .group_by(chunks.c.run_id)
        )
        of_run = {run_id: rest for run_id, *rest in connection.execute(sums)}
    return [
        EndedRun(run, int(images), int(ok), int(failed), done_at)
        for run in found
        for images, ok, failed, done_at in [of_run[run.id]]
    ]


def read_failures(connection: Connection) -> dict[str, int]:
    """Count the failed images of the whole database by kind, as a transaction sees it."""
    query = (
        select(outcomes.c.error_kind, func.count())
        .where(outcomes.c.error_kind.is_not(None))
        .group_by(outcomes.c.error_kind)
    )
    return {kind: int(count) for kind, count in connection.execute(query)}
