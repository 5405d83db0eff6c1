"""The manifest: which images a run must label, in which chunks, and which of them are on the queue."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, insert, literal, select, update

from storage.known_images import NAME, REF, VERSION, count_settled, has_name_of, known, unsettled
from storage.records import Chunk, ImageRef, shown
from storage.sent_rows import bound_numbers, number_at
from storage.tables import FAILED, chunks, images, manifest, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Row, Select

    from storage.database import Database
    from storage.records import Run

#: `images.path` and `images.path_hex`, which together name a file.
StoredPath = tuple[str, str]

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


def add_images(
    database: Database,
    run: Run,
    refs: Iterable[ImageRef],
    *,
    chunk_size: int,
    relabel: bool,
    look_first: bool = False,
) -> Added:
    """Add to the run's manifest, in one transaction, those of `refs` that have no outcome yet.

    An image that the manifest already holds is not added again unless it has changed since it was labelled.

    Args:
        database: where.
        run: whose manifest.
        refs: a batch of what was found.
        chunk_size: images in a chunk, at the most.
        relabel: add also what another run has labelled.
        look_first: find out, before SQLite's one writer has to wait, whether there is anything to add at all. It pays
            where there mostly is not.

    """
    wanted = list({ref.path: ref for ref in refs}.values())
    rows = _bound(database, wanted)
    if look_first:
        with database.read() as connection:
            settled = count_settled(database, connection, run, rows, relabel=relabel)
        if settled.images == len(wanted):
            return Added(0, settled.up_to_date)
    with database.write() as connection:
        up_to_date = 0
        if database.upsert_rows(connection, images, NAME, (), REF, rows) < len(wanted):
            settled = count_settled(database, connection, run, rows, relabel=relabel)
            up_to_date = settled.up_to_date
            is_all = settled.images == len(wanted)
            left = [] if is_all else unsettled(database, connection, run, rows, relabel=relabel)
            _leave_chunks(connection, left)
            wanted = [wanted[row.place] for row in left]
            if wanted:
                rows = _bound(database, wanted)
                database.upsert_rows(connection, images, NAME, VERSION, REF, rows)
        if wanted:
            _put_into_chunks(database, connection, run.id, rows, len(wanted), chunk_size)
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


def find_image(database: Database, connection: Connection, path: str) -> int | None:
    """Return the id of the image of an absolute path, as `os` gives it; None: there is none."""
    names = database.table_of(images, NAME)
    query = select(images.c.id).join(names, has_name_of(database, names))
    found: int | None = connection.execute(query, database.bound(NAME, [_stored_path(path)])).scalar_one_or_none()
    return found


def _bound(database: Database, refs: Iterable[ImageRef]) -> dict[str, Any]:
    return database.bound(REF, [(*_stored_path(path), size, mtime_ns) for path, size, mtime_ns in refs])


def _put_into_chunks(
    database: Database, connection: Connection, run_id: int, rows: Mapping[str, Any], count: int, chunk_size: int
) -> None:
    """Put the images in `rows`, so many, into new chunks in their order. All of them have their rows in `images`."""
    sizes = [min(chunk_size, count - start) for start in range(0, count, chunk_size)]
    chunk_ids = connection.execute(
        insert(chunks).returning(chunks.c.id, sort_by_parameter_order=True),
        [{"run_id": run_id, "images": size, "attempt": 0, "starts": 0, "suspect_starts": 0} for size in sizes],
    ).scalars()
    refs = database.table_of(images, REF, with_place=True)
    chunk_id = number_at(database.is_sqlite, "into", refs.c.place // chunk_size)
    source, image_id = known(database, refs)
    columns = ("run_id", "image_id", "chunk_id")
    places = select(literal(run_id), image_id, chunk_id).select_from(source)
    statement = database.upsert_from(manifest, columns[:2], columns[2:], columns, places)
    connection.execute(statement, {**rows, "into": bound_numbers(database.is_sqlite, list(chunk_ids))})


def _leave_chunks(connection: Connection, known: Iterable[Row[Any]]) -> None:
    """Take changed images out of the counts of the chunks that labelled them, since a new one will."""
    moved = Counter((row.chunk_id, row.status) for row in known if row.chunk_id is not None)
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
