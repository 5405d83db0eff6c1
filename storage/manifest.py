"""The manifest: which images a run must label, in which chunks, and which of them are on the queue."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, insert, select, update

from storage.records import Chunk, ImageRef, shown
from storage.tables import FAILED, chunks, images, manifest, name_hash, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select

    from storage.database import Database
    from storage.records import Run

#: `images.path` and `images.path_hex`, which together name a file.
StoredPath = tuple[str, str]

_NAME = ("path", "path_hex")
_VERSION = ("size", "mtime_ns")
_REF = _NAME + _VERSION
_PLACE = ("image_id", "chunk_id")

#: Rows that one page of a long SELECT brings into memory.
PAGE_ROWS = 1000


class Added(NamedTuple):
    """What became of a batch of images that was offered to the manifest."""

    added: int
    up_to_date: int  #: have an outcome for the same model, size and mtime


class PublishedChunk(NamedTuple):
    """A chunk that is said to be on the queue or with a worker."""

    chunk_id: int
    attempt: int


def add_images(database: Database, run: Run, refs: Sequence[ImageRef], *, chunk_size: int, relabel: bool) -> Added:
    """Add to the run's manifest, in one transaction, those of `refs` that have no outcome yet.

    An image that the manifest already holds is not added again unless it has changed since it was labelled.
    """
    wanted = {_stored_path(ref.path): ref for ref in refs}
    up_to_date = 0
    rows = _bound(database, wanted)
    with database.write() as connection:
        moved: Counter[tuple[int, str]] = Counter()
        known = connection.execute(_known(database, run), rows).all()
        for path, path_hex, is_fresh, chunk_id, is_open, status in known:
            if is_open or (is_fresh and (chunk_id is not None or not relabel)):
                del wanted[path, path_hex]
                up_to_date += chunk_id is None
            elif chunk_id is not None:
                moved[chunk_id, status] += 1
        if wanted:
            _leave_chunks(connection, moved)
            if known:
                rows = _bound(database, wanted)
            image_ids = _image_ids(database, connection, wanted, rows)
            _put_into_chunks(database, connection, run.id, image_ids, chunk_size)
    return Added(len(wanted), up_to_date)


def mark_published(database: Database, run_id: int, limit: int) -> list[Chunk]:
    """Note up to `limit` waiting chunks as published, each under a new attempt, and return them.

    The caller publishes them afterwards. One that it does not get to publish is found missing by `open_chunks` and the
    queue, and requeued.
    """
    with database.write() as connection:
        waiting = (
            select(chunks.c.id)
            .where(chunks.c.run_id == run_id, chunks.c.done_at.is_(None), chunks.c.published_at.is_(None))
            .order_by(chunks.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        ids = list(connection.execute(waiting).scalars())
        if not ids:
            return []
        published = connection.execute(
            update(chunks)
            .where(chunks.c.id.in_(ids))
            .values(attempt=chunks.c.attempt + 1, published_at=database.now(connection), started_at=None)
            .returning(chunks.c.id, chunks.c.attempt, chunks.c.images)
        ).all()
    return [Chunk(id=row.id, run_id=run_id, attempt=row.attempt, images=row.images) for row in sorted(published)]


def open_chunks(database: Database, run_id: int) -> set[PublishedChunk]:
    """Return the run's chunks that were published and are not done."""
    with database.read() as connection:
        rows = connection.execute(
            select(chunks.c.id, chunks.c.attempt).where(
                chunks.c.run_id == run_id, chunks.c.done_at.is_(None), chunks.c.published_at.is_not(None)
            )
        )
        return {PublishedChunk(*row) for row in rows}


def done_chunks(database: Database, run_id: int, chunk_ids: Collection[int]) -> set[int]:
    """Return those of the chunks that are of this run and done."""
    query = select(chunks.c.id).where(
        chunks.c.run_id == run_id, chunks.c.done_at.is_not(None), chunks.c.id.in_(chunk_ids)
    )
    with database.read() as connection:
        return set(connection.execute(query).scalars())


def requeue_chunks(database: Database, lost: Iterable[PublishedChunk]) -> int:
    """Mark lost chunks as waiting, unless they were done or published again in the meantime; return how many."""
    parameters = [{"lost_id": chunk.chunk_id, "lost_attempt": chunk.attempt} for chunk in lost]
    if not parameters:
        return 0
    statement = (
        update(chunks)
        .where(
            chunks.c.id == bindparam("lost_id"),
            chunks.c.attempt == bindparam("lost_attempt"),
            chunks.c.done_at.is_(None),
        )
        .values(published_at=None, started_at=None)
    )
    with database.write() as connection:
        return sum(connection.execute(statement, one).rowcount for one in parameters)


def failed_runs(database: Database, kinds: Sequence[str]) -> list[int]:
    """Return the ids of the runs that left images `failed`, of these kinds or of any."""
    query = select(outcomes.c.run_id).where(outcomes.c.error_kind.is_not(None)).distinct()
    if kinds:
        query = query.where(outcomes.c.error_kind.in_(kinds))
    with database.read() as connection:
        return sorted(connection.execute(query).scalars())


def failed_images(
    database: Database,
    run_id: int,
    kinds: Sequence[str],
    attempt: Callable[[Callable[[], Sequence[Row[Any]]]], Sequence[Row[Any]]] = lambda read: read(),
) -> Iterator[list[ImageRef]]:
    """Yield, page by page, the images that this run left `failed`; `attempt` may read a page again."""
    last = 0
    while True:
        query = (
            select(images.c.id, images.c.path, images.c.path_hex, images.c.size, images.c.mtime_ns)
            .join(outcomes, outcomes.c.image_id == images.c.id)
            .where(outcomes.c.run_id == run_id, outcomes.c.error_kind.is_not(None), images.c.id > last)
            .order_by(images.c.id)
            .limit(PAGE_ROWS)
        )
        if kinds:
            query = query.where(outcomes.c.error_kind.in_(kinds))
        rows = attempt(partial(_all, database, query))
        if not rows:
            return
        last = rows[-1].id
        yield [ImageRef(path_of(row.path, row.path_hex), row.size, row.mtime_ns) for row in rows]


def _all(database: Database, query: Select[Any]) -> Sequence[Row[Any]]:
    with database.read() as connection:
        return connection.execute(query).all()


def _known(database: Database, run: Run) -> Select[Any]:
    """Select, of each image that is known: its name, whether its outcome is that of this size and mtime, its chunk in
    the run, whether that is open, and the outcome's status.
    """
    refs = database.table_of(images, _REF)
    return (
        select(
            refs.c.path,
            refs.c.path_hex,
            and_(outcomes.c.size == refs.c.size, outcomes.c.mtime_ns == refs.c.mtime_ns),
            manifest.c.chunk_id,
            and_(chunks.c.id.is_not(None), chunks.c.done_at.is_(None)),
            outcomes.c.status,
        )
        .select_from(refs)
        .join(images, _has_name_of(database, refs))
        .outerjoin(outcomes, and_(outcomes.c.image_id == images.c.id, outcomes.c.model_id == run.model_id))
        .outerjoin(manifest, and_(manifest.c.run_id == run.id, manifest.c.image_id == images.c.id))
        .outerjoin(chunks, chunks.c.id == manifest.c.chunk_id)
    )


def _has_name_of(database: Database, refs: FromClause) -> ColumnElement[bool]:
    same = and_(images.c.path == refs.c.path, images.c.path_hex == refs.c.path_hex)
    return same if database.is_sqlite else and_(name_hash(images) == name_hash(refs), same)


def _bound(database: Database, wanted: Mapping[StoredPath, ImageRef]) -> dict[str, Any]:
    return database.bound(_REF, [(*name, ref.size, ref.mtime_ns) for name, ref in wanted.items()])


def _image_ids(
    database: Database, connection: Connection, wanted: Iterable[StoredPath], rows: Mapping[str, Any]
) -> list[int]:
    """Return the ids of the images in the order of `wanted`, whose rows are made or brought up to date."""
    database.upsert_rows(connection, images, _NAME, _VERSION, _REF, rows)
    refs = database.table_of(images, _REF)
    query = select(images.c.path, images.c.path_hex, images.c.id).join(refs, _has_name_of(database, refs))
    id_of = {(path, path_hex): image_id for path, path_hex, image_id in connection.execute(query, rows).all()}
    return [id_of[name] for name in wanted]


def _put_into_chunks(
    database: Database, connection: Connection, run_id: int, image_ids: Sequence[int], chunk_size: int
) -> None:
    groups = [image_ids[start : start + chunk_size] for start in range(0, len(image_ids), chunk_size)]
    chunk_ids = connection.execute(
        insert(chunks).returning(chunks.c.id, sort_by_parameter_order=True),
        [{"run_id": run_id, "images": len(group), "attempt": 0, "starts": 0, "suspect_starts": 0} for group in groups],
    ).scalars()
    places = [(image_id, chunk_id) for chunk_id, group in zip(chunk_ids, groups, strict=True) for image_id in group]
    rows = database.bound(_PLACE, places)
    database.upsert_rows(connection, manifest, ("run_id", "image_id"), ("chunk_id",), _PLACE, rows, run_id=run_id)


def _leave_chunks(connection: Connection, moved: Counter[tuple[int, str]]) -> None:
    """Take changed images out of the counts of the chunks that labelled them, since a new one will."""
    for (chunk_id, status), count in moved.items():
        failed = count if status == FAILED else 0
        connection.execute(
            update(chunks)
            .where(chunks.c.id == chunk_id)
            .values(
                images=chunks.c.images - count,
                ok=chunks.c.ok - (count - failed),
                failed=chunks.c.failed - failed,
            )
        )


def _stored_path(path: str) -> StoredPath:
    """Return the text that `images.path` holds, and the name's own bytes in hexadecimal where they are not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return shown(path), os.fsencode(path).hex()
    return path, ""


def path_of(stored: str, path_hex: str) -> str:
    """Return the path, as `os` takes it, that `images.path` and `images.path_hex` stand for."""
    return os.fsdecode(bytes.fromhex(path_hex)) if path_hex else stored
