"""What the report asks: counts and times, summed by the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, func, select

from storage.records import ChunkTiming, FailureCount, Pace, Percentiles, WorkerSample
from storage.tables import chunks, images, outcomes, workers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from storage.database import Database

#: The stages of an image's way, and their sum without the queue; each a column `<stage>_ms`.
STAGES = ("queue", "read", "decode", "infer", "total")


def percentiles(database: Database, run_id: int, stage: str) -> Percentiles | None:
    """Return a stage's percentiles over the run's images; None if there are none.

    The p-th percentile is the smallest value that at least p % of the images do not exceed.
    """
    column = outcomes.c[f"{stage}_ms"]
    measured = (outcomes.c.run_id == run_id, column.is_not(None))
    with database.read() as connection:
        count = connection.execute(select(func.count()).where(*measured)).scalar_one()
        if not count:
            return None
        ranks = [-(-count * percent // 100) for percent in (50, 95, 99)]
        ordered = select(column.label("ms"), func.row_number().over(order_by=column).label("rank"))
        ranked = ordered.where(*measured).subquery()
        rows = connection.execute(select(ranked.c.rank, ranked.c.ms).where(ranked.c.rank.in_(ranks)))
        value_at = {row.rank: row.ms for row in rows}
    return Percentiles(p50=value_at[ranks[0]], p95=value_at[ranks[1]], p99=value_at[ranks[2]])


def mean_stages(database: Database, run_id: int) -> dict[str, float]:
    """Return, of each stage that was measured, its mean in milliseconds over the run's images."""
    means = [func.avg(outcomes.c[f"{stage}_ms"]) for stage in STAGES]
    with database.read() as connection:
        row = connection.execute(select(*means).where(outcomes.c.run_id == run_id)).one()
    return {stage: mean for stage, mean in zip(STAGES, row, strict=True) if mean is not None}


def chunk_timings(database: Database, run_id: int) -> list[ChunkTiming]:
    """Return the run's finished chunks in the order in which they ended."""
    query = (
        select(chunks.c.started_at, chunks.c.done_at, chunks.c.images, chunks.c.worker)
        .where(chunks.c.run_id == run_id, chunks.c.done_at.is_not(None))
        .order_by(chunks.c.done_at)
    )
    with database.read() as connection:
        return [
            ChunkTiming(started_at=row.started_at, done_at=row.done_at, images=row.images, worker=row.worker)
            for row in connection.execute(query)
        ]


def failures_by_kind(database: Database, run_id: int) -> list[FailureCount]:
    """Count the run's failed images by kind, most frequent first."""
    query = (
        select(outcomes.c.error_kind, func.count().label("images"), func.min(images.c.path).label("example"))
        .join(images, images.c.id == outcomes.c.image_id)
        .where(outcomes.c.run_id == run_id, outcomes.c.error_kind.is_not(None))
        .group_by(outcomes.c.error_kind)
        .order_by(func.count().desc(), outcomes.c.error_kind)
    )
    with database.read() as connection:
        return [
            FailureCount(kind=row.error_kind, images=row.images, example=row.example)
            for row in connection.execute(query)
        ]


def pace(database: Database, run_id: int, since: datetime) -> Pace:
    """Return when the run last moved, and how many images it has labelled since a time."""
    newest = func.max(func.coalesce(chunks.c.done_at, chunks.c.started_at))
    labelled = func.coalesce(func.sum(case((chunks.c.done_at >= since, chunks.c.images), else_=0)), 0)
    with database.read() as connection:
        newest_at, images = connection.execute(select(newest, labelled).where(chunks.c.run_id == run_id)).one()
    return Pace(newest_at=newest_at, images=int(images))


def worker_samples(database: Database, names: Sequence[str]) -> list[WorkerSample]:
    """Return the newest sample of each of these workers."""
    return _samples(database, workers.c.name.in_(names))


def recent_workers(database: Database, since: datetime) -> list[WorkerSample]:
    """Return the newest sample of each worker that has stored a chunk since a time."""
    return _samples(database, workers.c.seen_at >= since)


def _samples(database: Database, chosen: ColumnElement[bool]) -> list[WorkerSample]:
    query = select(workers).where(chosen).order_by(workers.c.name)
    with database.read() as connection:
        return [WorkerSample(**row) for row in connection.execute(query).mappings()]
