"""What a database knows of images that are offered to a run's manifest: those that are settled, and those that are not.

An image is settled where there is nothing to add for it: it waits in an open chunk of the run, or has its outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

from sqlalchemy import and_, bindparam, func, or_, select, true

from storage.path_keys import name_hash
from storage.tables import chunks, images, manifest, outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, Table

    from storage.database import Database
    from storage.records import Run

#: What tells files apart, and the versions of one.
NAME = ("path", "path_hex")
VERSION = ("size", "mtime_ns")
REF = NAME + VERSION


class Settled(NamedTuple):
    """How many of the images that are offered are settled."""

    images: int
    up_to_date: int  #: of these, that are not in the run: they have an outcome for the same model, size and mtime


def count_settled(
    database: Database, connection: Connection, run: Run, rows: Mapping[str, Any], *, relabel: bool
) -> Settled:
    """Count the settled ones among the images in `rows`, which are `bound` as `REF`.

    The database compares and counts: a row that it returns costs more than all that it does for it.
    """
    found = _Known.of(database, database.table_of(images, REF))
    query = select(func.count(), func.count() - func.count(found.place.c.chunk_id)).select_from(found.source)
    statement = query.where(found.is_settled(relabel=relabel))
    return Settled(*connection.execute(statement, _with_ids(run, rows)).one())


def unsettled(
    database: Database, connection: Connection, run: Run, rows: Mapping[str, Any], *, relabel: bool
) -> Sequence[Row[Any]]:
    """Return those images in `rows` that are known and not settled, in their order.

    Each is a row of its place, and of its chunk in the run and the status of its outcome, where it has them.
    """
    found = _Known.of(database, database.table_of(images, REF, with_place=True))
    number = found.refs.c.place
    columns = number, found.place.c.chunk_id, found.outcome.c.status
    query: Select[Any] = select(*columns).select_from(found.source).order_by(number)
    is_unsettled = ~func.coalesce(found.is_settled(relabel=relabel), False)
    return connection.execute(query.where(is_unsettled), _with_ids(run, rows)).all()


def has_name_of(database: Database, refs: FromClause) -> ColumnElement[bool]:
    """Say of a row of `images` that it is the one of a ref."""
    same = and_(images.c.path == refs.c.path, images.c.path_hex == refs.c.path_hex)
    return same if database.is_sqlite else and_(name_hash(images) == name_hash(refs), same)


def known(database: Database, refs: FromClause) -> tuple[FromClause, ColumnElement[int]]:
    """Return what to select from to have those refs that are known, and their images' ids."""
    own, on = _one_of(database, images, has_name_of(database, refs))
    return refs.join(own, on), own.c.id


class _Known(NamedTuple):
    """The known ones of some refs, each with its outcome and its place in the run, where it has them."""

    refs: FromClause
    outcome: FromClause
    place: FromClause
    source: FromClause  #: all of them

    @classmethod
    def of(cls, database: Database, refs: FromClause) -> Self:
        run = bindparam("of_run", type_=manifest.c.run_id.type)
        model = bindparam("of_model", type_=outcomes.c.model_id.type)
        source, image_id = known(database, refs)
        is_its = and_(outcomes.c.image_id == image_id, outcomes.c.model_id == model)
        outcome, on_outcome = _one_of(database, outcomes, is_its)
        place, on_place = _one_of(database, manifest, and_(manifest.c.run_id == run, manifest.c.image_id == image_id))
        return cls(refs, outcome, place, source.outerjoin(outcome, on_outcome).outerjoin(place, on_place))

    def is_settled(self, *, relabel: bool) -> ColumnElement[bool]:
        """Say so of an image; or NULL, where it has no outcome, or one of no version."""
        own, ref = self.outcome.c, self.refs.c
        is_open = select(chunks.c.done_at.is_(None)).where(chunks.c.id == self.place.c.chunk_id).scalar_subquery()
        is_fresh = and_(own.size == ref.size, own.mtime_ns == ref.mtime_ns)
        return or_(is_open, and_(is_fresh, self.place.c.chunk_id.is_not(None)) if relabel else is_fresh)


def _one_of(database: Database, table: Table, condition: ColumnElement[bool]) -> tuple[FromClause, ColumnElement[bool]]:
    """Return a table and a condition to join by, where each row before it has one of the table's at the most.

    With a LIMIT, Postgres looks each one up. Else it may guess from few statistics to hash all names that it has, or to
    read a table as a whole for each row.
    """
    if database.is_sqlite:
        return table, condition
    return select(table).where(condition).limit(1).lateral(), true()


def _with_ids(run: Run, rows: Mapping[str, Any]) -> dict[str, Any]:
    return {**rows, "of_run": run.id, "of_model": run.model_id}
