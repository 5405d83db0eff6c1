"""What the report asks of all of a run's outcomes: their numbers, page by page, and what indexes tell without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, literal_column, select

from storage.records import Copies, OutcomePage
from storage.tables import outcomes, runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection

    from storage.database import Database
    from storage.records import Run

#: The stages of an image's way, and their sum without the queue; each a column `<stage>_ms`.
STAGES = ("queue", "read", "decode", "infer", "total")
#: Rows that are in memory at a time.
_PAGE_ROWS = 20_000
#: Outcomes from which a run is no small one.
_SMALL_ROWS = 200_000


class LabelSum(NamedTuple):
    """The images of a run that have a label as their best one."""

    label: str
    images: int
    score: float  #: the sum of theirs


def outcome_pages(database: Database, run_id: int) -> Iterator[OutcomePage]:
    """Yield, page by page and in no particular order, the numbers that the report asks of each of the run's images."""
    names = ("chunk_id", *(f"{stage}_ms" for stage in STAGES), "score_1")
    with database.read() as connection:
        query = select(*(outcomes.c[name] for name in names)).where(*rows_of(connection, run_id))
    for page in database.numbers(query, _PAGE_ROWS):
        chunk_id, *stages, score = page.T
        yield OutcomePage(chunk_id.astype("int64"), dict(zip(STAGES, stages, strict=True)), score)


def label_sums(database: Database, run: Run) -> list[LabelSum]:
    """Count the run's images by their best label, in no particular order."""
    sums = func.count(), func.sum(outcomes.c.score_1)
    found = _grouped(database, run, outcomes.c.label_1, *sums)
    return [LabelSum(label, images, score) for label, images, score in found if label is not None]


def kind_counts(database: Database, run: Run) -> list[tuple[str, int]]:
    """Count the run's images by their kind, in no particular order."""
    found = _grouped(database, run, outcomes.c.kind, func.count())
    return [(kind, images) for kind, images in found if kind is not None]


def _grouped(
    database: Database, run: Run, group: ColumnElement[str | None], *sums: ColumnElement[Any]
) -> Sequence[tuple[Any, ...]]:
    """Sum up the run's outcomes by the values of a column.

    Where no other run of its model has any, the outcomes are the model's: those an index tells, in the order of
    these values, and a million rows need neither be looked up nor sorted.
    """
    query = select(group, *sums).group_by(group)
    with database.read() as connection:  # one for all: another run may have its first outcome at any moment
        if is_small(connection, run.id) or shares_model(connection, run):
            query = query.where(*rows_of(connection, run.id))
        else:
            query = query.where(outcomes.c.model_id == run.model_id)
        return [tuple(row) for row in connection.execute(query)]


def shares_model(connection: Connection, run: Run) -> bool:
    """Tell whether another run of the same model has outcomes."""
    others = select(runs.c.id).where(runs.c.model_id == run.model_id, runs.c.id != run.id)
    with_outcomes = others.where(select(outcomes.c.image_id).where(outcomes.c.run_id == runs.c.id).exists())
    return connection.execute(with_outcomes.limit(1)).first() is not None


def is_small(connection: Connection, run_id: int) -> bool:
    """Tell whether a run has so few outcomes that looking each up, or sorting them, beats reading an index of all."""
    some = select(outcomes.c.run_id).where(outcomes.c.run_id == run_id).limit(_SMALL_ROWS).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one() < _SMALL_ROWS


def copies(database: Database, run_id: int) -> Iterator[Copies]:
    """Yield each content that more than one of the run's files have, in no particular order."""
    with database.read() as connection:
        sorts = is_small(connection, run_id)
    if sorts:
        files: ColumnElement[int] = func.count()
        of_run = [outcomes.c.run_id == run_id]
    else:
        # With `run_id` as a condition, a database starts from the run's index, and sorts a million contents. In the
        # index of contents they stand in order, with the run and the size.
        files, of_run = func.count().filter(outcomes.c.run_id == run_id), []
    query = (
        select(outcomes.c.content, files, func.max(outcomes.c.size))
        .where(outcomes.c.content.is_not(None), *of_run)
        .group_by(outcomes.c.content)
        .having(files > 1)
    )
    for columns in database.pages(query, _PAGE_ROWS):
        yield from map(Copies, *columns)


def unindexed_run(run_id: int) -> ColumnElement[bool]:
    """Say that an outcome is the run's, without its index: where SQLite sees that, it looks at no better one."""
    return outcomes.c.run_id + 0 == run_id


def rows_of(connection: Connection, run_id: int) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that select all of a run's outcomes.

    A large run's rows lie together: for SQLite to read all from its first to its last takes two thirds of the time of
    looking each up from the run's index.
    """
    if connection.dialect.name != "sqlite" or is_small(connection, run_id):
        return (outcomes.c.run_id == run_id,)
    own = outcomes.alias("own")
    first, last = (
        select(end(literal_column("own.rowid"))).select_from(own).where(own.c.run_id == run_id).scalar_subquery()
        for end in (func.min, func.max)
    )
    return unindexed_run(run_id), literal_column("outcomes.rowid").between(first, last)
