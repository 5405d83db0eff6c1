"""What the report asks of the tables: counts and times, summed by the database or page by page."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import case, func, literal_column, select

from storage.manifest import path_of
from storage.records import (
    ChunkTime,
    Copies,
    Disagreement,
    DoubtfulImages,
    FailureCount,
    LabelledImage,
    OutcomePage,
    Pace,
    ProcessSample,
    WorkerSample,
)
from storage.tables import chunks, images, manifest, outcomes, samples, workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from storage.database import Database
    from storage.records import Run

#: The stages of an image's way, and their sum without the queue; each a column `<stage>_ms`.
STAGES = ("queue", "read", "decode", "infer", "total")
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


def outcome_pages(database: Database, run_id: int) -> Iterator[OutcomePage]:
    """Yield, page by page and in no particular order, what the report asks of each of the run's images."""
    names = ("chunk_id", *(f"{stage}_ms" for stage in STAGES), "score_1", "label_1")
    query = select(*(outcomes.c[name] for name in names))
    if database.is_sqlite:
        # A run's rows lie together: to read all from its first to its last takes two thirds of the time of looking each
        # up from the run's index.
        own = outcomes.alias("own")
        first, last = (
            select(end(literal_column("own.rowid"))).select_from(own).where(own.c.run_id == run_id).scalar_subquery()
            for end in (func.min, func.max)
        )
        query = query.where(_unindexed_run(run_id), literal_column("outcomes.rowid").between(first, last))
    else:
        query = query.where(outcomes.c.run_id == run_id)
    for chunk_id, *stages, score, label in database.pages(query, _PAGE_ROWS):
        yield OutcomePage(chunk_id, dict(zip(STAGES, stages, strict=True)), score, label)


def copies(database: Database, run_id: int) -> Iterator[Copies]:
    """Yield each content that more than one of the run's files have, in no particular order."""
    files = func.count().filter(outcomes.c.run_id == run_id)
    query = (
        select(outcomes.c.content, files, func.max(outcomes.c.size))
        # Not `run_id`: with that, a database starts from the run's index, and sorts a million contents. In the index of
        # contents they stand in order, with the run and the size.
        .where(outcomes.c.content.is_not(None))
        .group_by(outcomes.c.content)
        .having(files > 1)
    )
    for columns in database.pages(query, _PAGE_ROWS):
        yield from map(Copies, *columns)


def failures_by_kind(database: Database, run_id: int) -> list[FailureCount]:
    """Count the run's failed images by kind, most frequent first."""
    query = (
        select(outcomes.c.error_kind, func.count().label("images"), func.min(images.c.path).label("example"))
        .join(images, images.c.id == outcomes.c.image_id)
        .where(_unindexed_run(run_id), outcomes.c.error_kind.is_not(None))
        .group_by(outcomes.c.error_kind)
        .order_by(func.count().desc(), outcomes.c.error_kind)
    )
    with database.read() as connection:
        return [
            FailureCount(kind=row.error_kind, images=row.images, example=row.example)
            for row in connection.execute(query)
        ]


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
        .where(_unindexed_run(run_id), outcomes.c.error_kind.is_not(None))
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
    names = ("image_id", "size", "mtime_ns", "content", "label_1", "score_1")
    order = (1 if least else -1) * outcomes.c.score_1
    # Paths are looked up for these few only: joined first, they would be sorted with all.
    first = (
        select(*(outcomes.c[name] for name in names), order.label("place"))
        .where(outcomes.c.run_id == run.id, outcomes.c.label_1.is_not(None))
        .order_by(order, outcomes.c.image_id)
        .limit(count)
        .subquery()
    )
    query = (
        select(images.c.path, images.c.path_hex, first)
        .join(first, first.c.image_id == images.c.id)
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
    both = (
        one.c.run_id == first.id,
        other.c.run_id == second.id,
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


def pace(database: Database, run_id: int, since: datetime) -> Pace:
    """Return when the run last moved, and how many images it has labelled since a time."""
    newest = func.max(func.coalesce(chunks.c.done_at, chunks.c.started_at))
    labelled = func.coalesce(func.sum(case((chunks.c.done_at >= since, chunks.c.images), else_=0)), 0)
    with database.read() as connection:
        newest_at, images = connection.execute(select(newest, labelled).where(chunks.c.run_id == run_id)).one()
    return Pace(newest_at=newest_at, images=int(images))


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
    return _samples(database, workers.c.name.in_(names))


def recent_workers(database: Database, since: datetime) -> list[WorkerSample]:
    """Return the newest sample of each worker that has stored a chunk since a time."""
    return _samples(database, workers.c.seen_at >= since)


def _unindexed_run(run_id: int) -> ColumnElement[bool]:
    """Say that an outcome is the run's, without its index: where SQLite sees that, it looks at no better one."""
    return outcomes.c.run_id + 0 == run_id


def _samples(database: Database, chosen: ColumnElement[bool]) -> list[WorkerSample]:
    query = select(workers).where(chosen).order_by(workers.c.name)
    with database.read() as connection:
        return [WorkerSample(**row) for row in connection.execute(query).mappings()]
