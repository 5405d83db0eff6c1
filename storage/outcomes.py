"""Storing what became of a chunk's images."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select, update

from storage.chunk_claims import NO_SUSPECT, chunk_images, is_open
from storage.identity import read_identity
from storage.records import storable
from storage.samples import write_chunk_rows
from storage.tables import FAILED, OK, chunks, manifest, models, outcomes, runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from storage.chunk_claims import Claim
    from storage.database import Database
    from storage.records import Outcome
    from storage.samples import ChunkRow

_KEY = ("image_id", "model_id")
_VALUES = tuple(column.name for column in outcomes.columns if column.name not in _KEY)
#: What an outcome says of itself; the rest is the same for all of a chunk.
_OWN = (
    *("error_kind", "error", "warning", "width", "height", "size", "mtime_ns", "content"),
    *("read_ms", "decode_ms", "infer_ms", "total_ms"),
)
_LABELS = tuple(f"{part}_{rank}" for rank in (1, 2, 3) for part in ("label", "score"))
_COLUMNS = ("image_id", "status", *_LABELS, *_OWN)


class Stored(Enum):
    """What became of a chunk that was to be stored."""

    DONE = auto()
    TOO_LATE = auto()  #: it was done already, or is no more what was claimed; nothing is changed
    INCOMPLETE = auto()  #: some of its images have no outcome of it; nothing is changed


def store(
    database: Database,
    claimed: Claim,
    results: Sequence[Outcome],
    worker: str,
    rows: Sequence[ChunkRow] = (),
) -> Stored:
    """Store a chunk's outcomes and mark it done, in one transaction.

    Args:
        database: where.
        claimed: the chunk, as it was claimed.
        results: its outcomes. Those that `store_one` stored before need not be given again.
        worker: the name of the process that labelled it.
        rows: what is stored besides, with the chunk or not at all.

    Returns:
        `Stored.DONE`, or why nothing was changed.

    Raises:
        DatabaseRefusedError: the database does not take a value of an outcome or of a row; nothing was changed.

    """
    with database.write() as connection:
        now = max(database.now(connection), claimed.started_at)  # clocks are set back
        write_chunk_rows(database, connection, rows, now)
        done = {"done_at": now, "started_at": claimed.started_at, "worker": worker}
        return _store(database, connection, claimed, results, worker, now, done)


def store_one(database: Database, claimed: Claim, outcome: Outcome, worker: str) -> bool:
    """Store one outcome of a chunk that is labelled image by image, and clear the suspicion.

    Returns:
        False if another worker has stored the chunk already; then nothing is changed.

    """
    with database.write() as connection:
        now = database.now(connection)
        return _store(database, connection, claimed, [outcome], worker, now, {}) is Stored.DONE


def stored_images(database: Database, claimed: Claim) -> dict[int, bool]:
    """Return the ids of the images whose outcomes the chunk has stored already, and whether each has labels."""
    query = _stored(claimed).add_columns(outcomes.c.error_kind.is_(None))
    with database.read() as connection:
        return {image_id: bool(ok) for image_id, ok in connection.execute(query)}


def requeue_failures(database: Database, run_id: int) -> None:
    """Have the next scan retry the images that the run left failed, since the cause may not lie with them.

    An outcome that does not say which mtime its file had is up to date with none. The size stays: what is known of
    copies rests on it.
    """
    of_run = outcomes.c.run_id == run_id, outcomes.c.error_kind.is_not(None)
    with database.write() as connection:
        connection.execute(update(outcomes).where(*of_run).values(mtime_ns=None))


def _store(
    database: Database,
    connection: Connection,
    claimed: Claim,
    results: Sequence[Outcome],
    worker: str,
    now: datetime,
    done: dict[str, Any],
) -> Stored:
    """Write outcomes and, last, the chunk's marks and counts; roll all of it back where the chunk is not as claimed."""
    if not _is_as_claimed(connection, claimed):
        connection.rollback()
        return Stored.TOO_LATE
    if results:
        database.upsert_rows(
            connection,
            outcomes,
            _KEY,
            _VALUES,
            _COLUMNS,
            # In one order: two that store the same images of different chunks wait for each other, not crosswise.
            database.bound(_COLUMNS, [_row(outcome) for outcome in sorted(results, key=lambda one: one.image_id)]),
            model_id=claimed.run.model_id,
            run_id=claimed.run.id,
            chunk_id=claimed.chunk_id,
            queue_ms=claimed.queue_ms,
            worker=worker,
            labelled_at=now,
        )
    # Counted, not added up: two workers may have labelled the chunk image by image, side by side.
    stored, failed = connection.execute(
        _stored(claimed).with_only_columns(func.count(), func.count(outcomes.c.error_kind))
    ).one()
    if done and stored != len(claimed.images):
        connection.rollback()
        return Stored.INCOMPLETE
    connection.execute(
        update(chunks)
        .where(chunks.c.id == claimed.chunk_id)
        .values(ok=stored - failed, failed=failed, **NO_SUSPECT, **done)
    )
    return Stored.DONE


def _is_as_claimed(connection: Connection, claimed: Claim) -> bool:
    """Tell whether the chunk is still to be labelled, and its numbers still mean what they meant when it was claimed.

    A database may be made anew, or set back to a backup, under a worker: then the same numbers are other images, or
    another model, and labels would stand under a name that is not theirs.
    """
    query = (
        select(models.c.key)
        .join(runs, runs.c.model_id == models.c.id)
        .join(chunks, chunks.c.run_id == runs.c.id)
        .where(*is_open(claimed.chunk_id), runs.c.id == claimed.run.id, runs.c.model_id == claimed.run.model_id)
        .with_for_update(of=chunks)  # of two that store the chunk at once, the second one waits, and is too late
    )
    return (
        read_identity(connection) == claimed.database
        and connection.execute(query).scalar_one_or_none() == claimed.run.model.key
        and chunk_images(connection, claimed.chunk_id) == claimed.images
    )


def _stored(claimed: Claim) -> Select[Any]:
    """Select the ids of the chunk's images whose outcomes the chunk has stored."""
    of_chunk = and_(manifest.c.image_id == outcomes.c.image_id, manifest.c.chunk_id == claimed.chunk_id)
    return (
        select(outcomes.c.image_id)
        .join(manifest, of_chunk)
        .where(outcomes.c.model_id == claimed.run.model_id, outcomes.c.chunk_id == claimed.chunk_id)
    )


def _row(outcome: Outcome) -> tuple[Any, ...]:
    """Return the values of `_COLUMNS`."""
    labels = [part for label in outcome.labels for part in label]
    missing = [None] * (len(_LABELS) - len(labels))
    own = (storable(value) if isinstance(value, str) else value for value in (getattr(outcome, name) for name in _OWN))
    return (outcome.image_id, OK if outcome.ok else FAILED, *labels, *missing, *own)
