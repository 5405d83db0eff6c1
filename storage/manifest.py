"""The manifest: which images a run must label, in which chunks, and which of them are on the queue."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, insert, select, update

from storage.records import Chunk, ChunkImage, ImageRef, shown
from storage.tables import FAILED, chunks, images, manifest, outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from storage.database import Database
    from storage.records import Run

#: `images.path` and `images.path_bytes`, which together name a file.
StoredPath = tuple[str, bytes]

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
    At most 1,000 `refs` a call: each binds four parameters of one statement.
    """
    wanted = {_stored_path(ref.path): ref for ref in refs}
    up_to_date = 0
    with database.write() as connection:
        moved: Counter[tuple[int, str]] = Counter()
        for row in _known(connection, run, [path for path, _ in wanted]):
            ref = wanted.get((row.path, row.path_bytes))
            if ref is None:
                continue  # another file, whose undecodable name is shown alike
            fresh = (row.outcome_size, row.outcome_mtime_ns) == (ref.size, ref.mtime_ns)
            is_open = row.chunk_id is not None and row.done_at is None
            if is_open or (fresh and (row.chunk_id is not None or not relabel)):
                del wanted[row.path, row.path_bytes]
                up_to_date += row.chunk_id is None
            elif row.chunk_id is not None:
                moved[row.chunk_id, row.status] += 1
        if wanted:
            _leave_chunks(connection, moved)
            _put_into_chunks(database, connection, run.id, _image_ids(database, connection, wanted), chunk_size)
    return Added(len(wanted), up_to_date)


def take_waiting(database: Database, run_id: int, limit: int) -> list[Chunk]:
    """Note up to `limit` waiting chunks as published, each under a new attempt, and return them.

    The caller publishes them afterwards. One that it does not get to publish is found missing by
    `open_chunks` and the queue, and taken back.
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
        attempts = connection.execute(
            update(chunks)
            .where(chunks.c.id.in_(ids))
            .values(attempt=chunks.c.attempt + 1, published_at=datetime.now(UTC), started_at=None)
            .returning(chunks.c.id, chunks.c.attempt)
        )
        attempt_of = {row.id: row.attempt for row in attempts}
        members: dict[int, list[ChunkImage]] = {chunk_id: [] for chunk_id in ids}
        rows = connection.execute(
            select(manifest.c.chunk_id, images.c.id, images.c.path, images.c.path_bytes)
            .join(images, images.c.id == manifest.c.image_id)
            .where(manifest.c.chunk_id.in_(ids))
            .order_by(manifest.c.chunk_id, images.c.id)
        )
        for row in rows:
            members[row.chunk_id].append(ChunkImage(row.id, _path(row.path, row.path_bytes)))
    return [
        Chunk(id=chunk_id, run_id=run_id, attempt=attempt_of[chunk_id], images=tuple(members[chunk_id]))
        for chunk_id in ids
    ]


def open_chunks(database: Database, run_id: int) -> set[PublishedChunk]:
    """Return the run's chunks that were published and are not done."""
    with database.read() as connection:
        rows = connection.execute(
            select(chunks.c.id, chunks.c.attempt).where(
                chunks.c.run_id == run_id, chunks.c.done_at.is_(None), chunks.c.published_at.is_not(None)
            )
        )
        return {PublishedChunk(*row) for row in rows}


def take_back(database: Database, lost: Iterable[PublishedChunk]) -> int:
    """Let lost chunks wait again, unless they were done or published anew meanwhile; return how many wait."""
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


def failed_images(database: Database, run_id: int, kinds: Sequence[str]) -> Iterator[list[ImageRef]]:
    """Yield, page by page, the images that this run left `failed`."""
    last = 0
    while True:
        query = (
            select(images.c.id, images.c.path, images.c.path_bytes, images.c.size, images.c.mtime_ns)
            .join(outcomes, outcomes.c.image_id == images.c.id)
            .where(outcomes.c.run_id == run_id, outcomes.c.error_kind.is_not(None), images.c.id > last)
            .order_by(images.c.id)
            .limit(PAGE_ROWS)
        )
        if kinds:
            query = query.where(outcomes.c.error_kind.in_(kinds))
        with database.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1].id
        yield [ImageRef(_path(row.path, row.path_bytes), row.size, row.mtime_ns) for row in rows]


def _known(connection: Connection, run: Run, paths: Sequence[str]) -> Sequence[Any]:
    """What the database knows of these paths: the image, its outcome for the model, its place in the run."""
    return connection.execute(
        select(
            images.c.path,
            images.c.path_bytes,
            outcomes.c.size.label("outcome_size"),
            outcomes.c.mtime_ns.label("outcome_mtime_ns"),
            outcomes.c.status,
            manifest.c.chunk_id,
            chunks.c.done_at,
        )
        .outerjoin(outcomes, and_(outcomes.c.image_id == images.c.id, outcomes.c.model_id == run.model_id))
        .outerjoin(manifest, and_(manifest.c.run_id == run.id, manifest.c.image_id == images.c.id))
        .outerjoin(chunks, chunks.c.id == manifest.c.chunk_id)
        .where(images.c.path.in_(paths))
    ).all()


def _image_ids(database: Database, connection: Connection, wanted: dict[StoredPath, ImageRef]) -> list[int]:
    """Return the ids of the images in the order of `wanted`, whose rows are made or brought up to date."""
    upsert: Any = database.upsert(images, ("path", "path_bytes"), ("size", "mtime_ns"))
    rows = connection.execute(
        upsert.returning(images.c.id, images.c.path, images.c.path_bytes),
        [
            {"path": path, "path_bytes": raw, "size": ref.size, "mtime_ns": ref.mtime_ns}
            for (path, raw), ref in wanted.items()
        ],
    )
    id_of = {(row.path, row.path_bytes): row.id for row in rows}
    return [id_of[key] for key in wanted]


def _put_into_chunks(
    database: Database, connection: Connection, run_id: int, image_ids: Sequence[int], chunk_size: int
) -> None:
    rows = []
    for start in range(0, len(image_ids), chunk_size):
        members = image_ids[start : start + chunk_size]
        chunk_id = connection.execute(
            insert(chunks).values(run_id=run_id, images=len(members), attempt=0, starts=0, suspect_starts=0)
        ).inserted_primary_key[0]  # type: ignore[index]  # an INSERT of one row has one
        rows += [{"run_id": run_id, "image_id": image_id, "chunk_id": chunk_id} for image_id in members]
    connection.execute(database.upsert(manifest, ("run_id", "image_id"), ("chunk_id",)), rows)


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
    """Return the text that `images.path` holds, and the name's own bytes where they are not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return shown(path), os.fsencode(path)
    return path, b""


def _path(stored: str, raw: bytes) -> str:
    return os.fsdecode(raw) if raw else stored
