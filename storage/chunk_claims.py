"""A worker's claim on a chunk, and the record of starts that ended in a crash or an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select, update

from storage.identity import read_identity
from storage.manifest import path_of
from storage.records import ChunkImage
from storage.runs import read_run
from storage.tables import chunks, identity, images, manifest, runs

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import BindParameter, ColumnElement, Connection

    from storage.database import Database
    from storage.records import Run

#: The columns of a chunk of which no image is suspected.
NO_SUSPECT = {"suspect_id": None, "suspect_starts": 0, "ended_by": None}
#: Made once: it takes SQLAlchemy longer to put a statement together than SQLite to answer it.
_CHUNK_IMAGES = (
    select(images.c.id, images.c.path, images.c.path_hex)
    .join(manifest, manifest.c.image_id == images.c.id)
    .where(manifest.c.chunk_id == bindparam("of_chunk"))
    .order_by(images.c.id)
)
#: What `chunks.ended_by` begins with where the process lived and raised an exception.
_EXCEPTION = "error: "


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's right to label a chunk, and all that there is to know of it: the message named it, no more."""

    database: str  #: the identity of the database that said so
    chunk_id: int
    attempt: int
    run: Run
    images: tuple[ChunkImage, ...]  #: of the manifest
    starts: int  #: 1, or more if an earlier start did not end
    started_at: datetime
    queue_ms: float  #: from publishing to this start
    suspect_id: int | None = None  #: the image, labelled alone, that an earlier start ended with
    suspect_starts: int = 0  #: how many starts ended with it
    crash_cause: str | None = None  #: what ended the last one: a signal, a limit, an error; None: nobody saw its end


def claim(database: Database, database_id: str, chunk_id: int, attempt: int, worker: str) -> Claim | None:
    """Note that a worker starts the chunk; return the chunk, as this database has it.

    Returns:
        None if there is nothing to do: the chunk is done, or was published again under a newer attempt; or its run was
        cancelled; or the message is of another database.

    """
    columns = ("run_id", "starts", "published_at", "suspect_id", "suspect_starts", "ended_by")
    start = (
        update(chunks)
        .where(*_is_attempt(database_id, chunk_id, attempt), _is_wanted())
        .values(starts=chunks.c.starts + 1, worker=worker)
        .returning(*(chunks.c[name] for name in columns))
    )
    with database.write(lasting=False) as connection:
        now = database.now(connection)
        row = connection.execute(start, {"started_at": now}).one_or_none()
    if row is None:
        return None
    # Read when SQLite's only lock is free again. Whatever is different by then, or is later: `store` looks once more.
    with database.read() as connection:
        if read_identity(connection) != database_id:
            return None
        run = read_run(connection, row.run_id)
        members = chunk_images(connection, chunk_id)
    waited = (now - row.published_at).total_seconds() if row.published_at else 0.0
    return Claim(
        database=database_id,
        chunk_id=chunk_id,
        attempt=attempt,
        run=run,
        images=members,
        starts=row.starts,
        started_at=now,
        queue_ms=max(0.0, waited * 1000),
        suspect_id=row.suspect_id,
        suspect_starts=row.suspect_starts,
        crash_cause=row.ended_by,
    )


def mark_suspect(database: Database, claimed: Claim, image_id: int) -> None:
    """Note, before it is read, that this image is labelled alone now: if the worker dies, it died with this image."""
    again = image_id == claimed.suspect_id and not was_exception(claimed.crash_cause)
    starts = claimed.suspect_starts + 1 if again else 1
    with database.write() as connection:
        connection.execute(
            update(chunks)
            .where(*_is_claimed(claimed))
            .values(suspect_id=image_id, suspect_starts=starts, ended_by=None)
        )


def record_crash(database: Database, database_id: str, chunk_id: int, attempt: int, cause: str) -> None:
    """Note what ended a start of the chunk: a signal, or the time limit."""
    with database.write() as connection:
        connection.execute(update(chunks).where(*_is_attempt(database_id, chunk_id, attempt)).values(ended_by=cause))


def clear_suspect(database: Database, claimed: Claim) -> None:
    """Note that no image is to blame for the end of a start."""
    with database.write() as connection:
        connection.execute(update(chunks).where(*_is_claimed(claimed)).values(**NO_SUSPECT))


def release_claim(database: Database, claimed: Claim) -> None:
    """Take the start back, for which no image is to blame: the next one begins as if it had not been.

    What earlier starts have found about an image stays.
    """
    before = {
        "suspect_id": claimed.suspect_id,
        "suspect_starts": claimed.suspect_starts,
        "ended_by": claimed.crash_cause,
    }
    with database.write() as connection:
        connection.execute(
            update(chunks)
            .where(*_is_claimed(claimed), chunks.c.starts > 0)
            .values(starts=chunks.c.starts - 1, started_at=None, **before)
        )


def record_error(database: Database, claimed: Claim, image_id: int | None, error: str) -> None:
    """Note that a start ended with an exception, in a process that is alive.

    Args:
        database: where.
        claimed: the start.
        image_id: of the image that was being labelled, alone; None: there were several.
        error: in one line.

    """
    again = image_id == claimed.suspect_id and was_exception(claimed.crash_cause)
    suspicion = {"suspect_id": image_id, "suspect_starts": (claimed.suspect_starts if again else 0) + 1}
    with database.write() as connection:
        connection.execute(
            update(chunks)
            .where(*_is_claimed(claimed))
            .values(ended_by=f"{_EXCEPTION}{error}", **(suspicion if image_id else {}))
        )


def was_exception(crash_cause: str | None) -> bool:
    """Tell whether a start ended with an exception, in a process that went on, and not with the end of its process."""
    return crash_cause is not None and crash_cause.startswith(_EXCEPTION)


def chunk_images(connection: Connection, chunk_id: int) -> tuple[ChunkImage, ...]:
    """Return the chunk's images, as the manifest has them, in the order of their ids."""
    rows = connection.execute(_CHUNK_IMAGES, {"of_chunk": chunk_id})
    return tuple(ChunkImage(image_id, path_of(path, path_hex)) for image_id, path, path_hex in rows)


def is_open(chunk_id: int | BindParameter[int]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that select the chunk, if it is not done."""
    return chunks.c.id == chunk_id, chunks.c.done_at.is_(None)


def _is_attempt(database_id: str, chunk_id: int, attempt: int) -> tuple[ColumnElement[bool], ...]:
    this_database = select(identity.c.uuid).where(identity.c.uuid == database_id).exists()
    return *is_open(chunk_id), chunks.c.attempt == attempt, this_database


def _is_claimed(claimed: Claim) -> tuple[ColumnElement[bool], ...]:
    return *_is_attempt(claimed.database, claimed.chunk_id, claimed.attempt), chunks.c.run_id == claimed.run.id


def _is_wanted() -> ColumnElement[bool]:
    """Say of a chunk that its run was not cancelled."""
    return select(runs.c.id).where(runs.c.id == chunks.c.run_id, runs.c.cancelled_at.is_(None)).exists()
