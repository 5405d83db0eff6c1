"""What the report asks of the tables: counts and times, summed by the database or page by page."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, select

from storage.manifest import path_of
from storage.outcome_figures import STAGES, is_small, rows_of, unindexed_run
from storage.records import (
    ChunkTime,
    Disagreement,
    DoubtfulImages,
    FailureCount,
    LabelledImage,
    ProcessSample,
    WorkerSample,
)
from storage.tables import chunks, images, manifest, outcomes, samples, workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from storage.database import Database
    from storage.records import Run

#: Rows that are in memory at a time.
_PAGE_ROWS = 20_000
#: No chunk takes longer: 64 images, each tried alone up to the time limit, take two hours by default.
LONGEST_CHUNK = timedelta(days=1)


def mean_stages(database: Database, run_id: int) -> dict[str, float]:
    """Return, of each stage that was measured, its mean in milliseconds over the run's images."""
    means = [func.avg(outcomes.c[f"{stage}_ms"]) for stage in STAGES]
    with database.read() as connection:
        row = connection.execute(select(*means).where(outcomes.c.run_id == run_id)).one()
    return {stage: mean for stage, mean in zip(STAGES, row, strict=True) if mean is not None}


def chunk_times(database: Database, run_id: int) -> list[ChunkTime]:
    """Return the run's finished chunks in the order in which they ended.

    One whose times say that it ended before it began, or took longer than any does, was in work while a clock jumped:
    it counts as of no time, since how long it took is not known.
    """
    names = ("id", "published_at", "started_at", "done_at", "images", "failed", "attempt", "starts", "worker")
    query = (
        select(*(chunks.c[name] for name in names))
        .where(chunks.c.run_id == run_id, chunks.c.done_at.is_not(None))
        .order_by(chunks.c.done_at, chunks.c.id)
    )
    with database.read() as connection:
        found = [ChunkTime(*row) for row in connection.execute(query).all()]
    return [
        one if timedelta() <= one.done_at - one.started_at <= LONGEST_CHUNK else one._replace(started_at=one.done_at)
        for one in found
    ]


def failures_by_kind(database: Database, run_id: int) -> list[FailureCount]:
    """Count the run's failed images by kind, most frequent first."""
    counts = (
        select(outcomes.c.error_kind, func.count().label("images"), func.min(outcomes.c.image_id).label("first_id"))
        .where(unindexed_run(run_id), outcomes.c.error_kind.is_not(None))
        .group_by(outcomes.c.error_kind)
        .subquery()
    )
    # Paths are looked up for the examples only, not for each failure.
    query = (
        select(counts.c.error_kind, counts.c.images, images.c.path)
        .join(images, images.c.id == counts.c.first_id)
        .order_by(counts.c.images.desc(), counts.c.error_kind)
    )
    with database.read() as connection:
        return [FailureCount(kind=kind, images=count, example=path) for kind, count, path in connection.execute(query)]


def doubtful_images(database: Database, run_id: int) -> DoubtfulImages | None:
    """Count the run's images that have labels and a warning; None: there is none."""
    doubted = (outcomes.c.run_id == run_id, outcomes.c.warning.is_not(None))
    first = (
        select(images.c.path, outcomes.c.warning)
        .join(images, images.c.id == outcomes.c.image_id)
        .where(*doubted)
        .order_by(outcomes.c.image_id)
        .limit(1)
    )
    with database.read() as connection:
        count = connection.execute(select(func.count()).select_from(outcomes).where(*doubted)).scalar_one()
        example = connection.execute(first).first()
    return DoubtfulImages(images=count, example=example.path, warning=example.warning) if example else None


def failed_images(database: Database, run_id: int) -> Iterator[tuple[int, str]]:
    """Yield the run's failed images, their ids and their paths, in no particular order."""
    query = (
        select(images.c.id, images.c.path)
        .join(outcomes, outcomes.c.image_id == images.c.id)
        .where(unindexed_run(run_id), outcomes.c.error_kind.is_not(None))
    )
    for ids, paths in database.pages(query, _PAGE_ROWS):
        yield from zip(ids, paths, strict=True)


def images_in_folder(database: Database, run_id: int, folder: str) -> int:
    """Count the run's images that lie in a folder itself."""
    below = folder.rstrip("/") + "/"
    # From «folder/» to before «folder0», the next character: byte by byte, which is not every Postgres' own order.
    path = images.c.path if database.is_sqlite else images.c.path.collate("C")
    query = (
        select(func.count())
        .select_from(images.join(manifest, manifest.c.image_id == images.c.id))
        .where(manifest.c.run_id == run_id, path >= below, path < below[:-1] + "0")
        .where(func.substr(images.c.path, len(below) + 1).not_like("%/%"))
    )
    with database.read() as connection:
        return int(connection.execute(query).scalar_one())


def surest_images(database: Database, run: Run, count: int, *, least: bool = False) -> list[LabelledImage]:
    """Return the images whose best label has the highest score, or the lowest."""
    order = (1 if least else -1) * outcomes.c.score_1
    with database.read() as connection:
        of_run = rows_of(connection, run.id)
    # The rest is looked up for these few only: selected with all, it would be sorted with all.
    first = (
        select(outcomes.c.image_id, order.label("place"))
        .where(*of_run, outcomes.c.label_1.is_not(None))
        .order_by(order, outcomes.c.image_id)
        .limit(count)
        .subquery()
    )
    names = ("size", "mtime_ns", "content", "label_1", "score_1")
    query = (
        select(images.c.path, images.c.path_hex, *(outcomes.c[name] for name in names))
        .select_from(first)
        .join(images, images.c.id == first.c.image_id)
        .join(outcomes, and_(outcomes.c.image_id == first.c.image_id, outcomes.c.model_id == run.model_id))
        .order_by(first.c.place, first.c.image_id)
    )
    with database.read() as connection:
        return [
            LabelledImage(
                path=path_of(row.path, row.path_hex),
                size=row.size,
                mtime_ns=row.mtime_ns,
                content=row.content,
                label=row.label_1,
                score=row.score_1,
            )
            for row in connection.execute(query)
        ]


def paths_with_content(database: Database, run: Run, content: str, count: int) -> list[str]:
    """Return the paths, for people, of some of the run's images whose files have the same bytes."""
    query = (
        select(images.c.path)
        .join(outcomes, outcomes.c.image_id == images.c.id)
        .where(outcomes.c.run_id == run.id, outcomes.c.content == content)
        .order_by(outcomes.c.image_id)  # as the index of contents has them
        .limit(count)
    )
    with database.read() as connection:
        return list(connection.execute(query).scalars())


def disagreement(database: Database, first: Run, second: Run, count: int) -> Disagreement:
    """Count the images to which two runs' models give another best label, and name some of them.

    Two runs of one model never disagree: the later one's outcomes took the place of the earlier one's.
    """
    one, other = outcomes.alias("one"), outcomes.alias("other")
    # SQLite starts from the run whose index it sees: that should not be the larger one.
    with database.read() as connection:
        small = [is_small(connection, run.id) for run in (first, second)]
    both = (
        (one.c.run_id + 0 if small == [False, True] else one.c.run_id) == first.id,
        (other.c.run_id + 0 if small == [True, False] else other.c.run_id) == second.id,
        # This follows from the runs, but makes an outcome the only one: without it, SQLite looks through all of one run
        # for each image of the other.
        one.c.model_id == first.model_id,
        other.c.model_id == second.model_id,
        one.c.label_1.is_not(None),
        other.c.label_1.is_not(None),
    )
    joined = one.join(other, one.c.image_id == other.c.image_id)
    different = one.c.label_1 != other.c.label_1
    counting = select(func.count(), func.coalesce(func.sum(case((different, 1), else_=0)), 0))
    naming = (
        select(images.c.path, one.c.label_1, other.c.label_1)
        .select_from(joined.join(images, images.c.id == one.c.image_id))
        .where(*both, different)
        # Where both are sure, one is wrong: these tell most.
        .order_by((one.c.score_1 + other.c.score_1).desc(), images.c.id)
        .limit(count)
    )
    with database.read() as connection:
        compared, differing = connection.execute(counting.select_from(joined).where(*both)).one()
        examples = tuple((path, mine, theirs) for path, mine, theirs in connection.execute(naming))
    return Disagreement(
        first=f"run {first.id}, {first.model.architecture} {first.model.precision}",
        second=f"run {second.id}, {second.model.architecture} {second.model.precision}",
        images=compared,
        different=int(differing),
        examples=examples,
    )


def process_samples(
    database: Database, names: Sequence[str], begin: datetime, end: datetime
) -> Iterator[ProcessSample]:
    """Yield what these processes held and used between two times, by process, the oldest first."""
    query = (
        select(samples)
        .where(samples.c.worker.in_(names), samples.c.sampled_at >= begin, samples.c.sampled_at <= end)
        .order_by(samples.c.worker, samples.c.sampled_at)
    )
    with database.read() as connection:
        for row in connection.execution_options(yield_per=_PAGE_ROWS).execute(query).mappings():
            yield ProcessSample(**row)


def worker_samples(database: Database, names: Sequence[str]) -> list[WorkerSample]:
    """Return the newest sample of each of these workers."""
    with database.read() as connection:
        return _samples(connection, workers.c.name.in_(names))


def recent_workers(database: Database, since: datetime) -> list[WorkerSample]:
    """Return the newest sample of each worker that has stored a chunk since a time."""
    with database.read() as connection:
        return read_recent_workers(connection, since)


def read_recent_workers(connection: Connection, since: datetime) -> list[WorkerSample]:
    """Return the same as `recent_workers`, as a transaction sees it."""
    return _samples(connection, workers.c.seen_at >= since)


def _samples(connection: Connection, chosen: ColumnElement[bool]) -> list[WorkerSample]:
    query = select(workers).where(chosen).order_by(workers.c.name)
    return [WorkerSample(**row) for row in connection.execute(query).mappings()]
