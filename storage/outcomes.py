"""Beginning a chunk, and storing what became of its images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select, update

from storage.tables import FAILED, OK, chunks, manifest, outcomes, samples, workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Select

    from storage.database import Database
    from storage.records import Outcome, ProcessSample, Run, WorkerSample

_KEY = ("image_id", "model_id")
_VALUES = tuple(column.name for column in outcomes.columns if column.name not in _KEY)
#: What an outcome says of itself; the rest is the same for all of a chunk.
_OWN = (
    *("error_kind", "error", "warning", "width", "height", "size", "mtime_ns", "content"),
    *("read_ms", "decode_ms", "infer_ms", "total_ms"),
)
_LABELS = tuple(f"{part}_{rank}" for rank in (1, 2, 3) for part in ("label", "score"))
_COLUMNS = ("image_id", "status", *_LABELS, *_OWN)
_UNSUSPECTED = {"suspect_id": None, "suspect_starts": 0, "ended_by": None}
_SAMPLE = ("host", "pid", "process", "started_at", "seen_at", "rss_bytes", "peak_rss_bytes")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's right to label a chunk."""

    chunk_id: int
    starts: int  #: 1, or more if an earlier start did not end
    started_at: datetime
    queue_ms: float  #: from publishing to this start; two hosts' clocks may make it inexact, never negative
    suspect_id: int | None = None  #: the image, labelled alone, that an earlier start ended with
    suspect_starts: int = 0  #: how many starts ended with it
    ended_by: str | None = None  #: the signal or the limit that ended the last one; None: nobody saw its end


def claim(database: Database, chunk_id: int, attempt: int, worker: str) -> Claim | None:
    """Note that a worker begins the chunk.

    Returns:
        None if there is nothing to do: the chunk is done, or was published again under a newer attempt.

    """
    now = datetime.now(UTC)
    statement = (
        update(chunks)
        .where(*_is_open(chunk_id), chunks.c.attempt == attempt)
        .values(starts=chunks.c.starts + 1, started_at=now, worker=worker)
        .returning(*(chunks.c[name] for name in ("starts", "published_at", "suspect_id", "suspect_starts", "ended_by")))
    )
    with database.write() as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    waited = (now - row.published_at).total_seconds() if row.published_at else 0.0
    return Claim(
        chunk_id=chunk_id,
        starts=row.starts,
        started_at=now,
        queue_ms=max(0.0, waited * 1000),
        suspect_id=row.suspect_id,
        suspect_starts=row.suspect_starts,
        ended_by=row.ended_by,
    )


def store(
    database: Database,
    run: Run,
    claimed: Claim,
    results: Sequence[Outcome],
    sample: WorkerSample,
    history: Sequence[ProcessSample] = (),
) -> bool:
    """Store a chunk's outcomes and mark it done, in one transaction; and `history`, samples to be kept, with it.

    Outcomes that `store_one` stored before are not given again.

    Returns:
        False if another worker has stored the chunk already; then nothing is changed.

    """
    now = datetime.now(UTC)
    with database.write() as connection:
        database.upsert_rows(
            connection,
            workers,
            ("name",),
            _SAMPLE,
            ("name",),
            database.bound(("name",), [(sample.name,)]),
            **_sample_values(sample, now),
        )
        if history:
            # One that is there already, of a clock set back, must not cost the chunk.
            keep = database.insert_or_keep(samples, ("worker", "sampled_at"))
            connection.execute(keep, [asdict(one) for one in history])
        done = {"done_at": now, "started_at": claimed.started_at, "worker": sample.name}
        return _store(database, connection, run, claimed, results, sample.name, done)


def store_one(database: Database, run: Run, claimed: Claim, outcome: Outcome, worker: str) -> bool:
    """Store one outcome of a chunk that is labelled image by image, and clear the suspicion.

    Returns:
        False if another worker has stored the chunk already; then nothing is changed.

    """
    with database.write() as connection:
        return _store(database, connection, run, claimed, [outcome], worker, {})


def stored_images(database: Database, run: Run, chunk_id: int) -> set[int]:
    """Return the ids of the images whose outcomes the chunk has stored already."""
    with database.read() as connection:
        return set(connection.execute(_stored(run, chunk_id)).scalars())


def suspect(database: Database, claimed: Claim, image_id: int) -> None:
    """Note, before it is touched, that this image is labelled alone now: if the worker dies, it was with it."""
    starts = claimed.suspect_starts + 1 if image_id == claimed.suspect_id else 1
    with database.write() as connection:
        connection.execute(
            update(chunks)
            .where(*_is_open(claimed.chunk_id))
            .values(suspect_id=image_id, suspect_starts=starts, ended_by=None)
        )


def note_end(database: Database, chunk_id: int, attempt: int, ended_by: str) -> None:
    """Note what ended the start of a chunk that did not end in good order."""
    with database.write() as connection:
        connection.execute(
            update(chunks).where(*_is_open(chunk_id), chunks.c.attempt == attempt).values(ended_by=ended_by)
        )


def clear_suspicion(database: Database, chunk_id: int) -> None:
    """Note that a start of the chunk ended in good order: no image is to blame."""
    with database.write() as connection:
        connection.execute(update(chunks).where(*_is_open(chunk_id)).values(**_UNSUSPECTED))


def give_back(database: Database, claimed: Claim) -> None:
    """Note that the start came to nothing, through no fault of an image: the next one begins as if it had not been."""
    with database.write() as connection:
        connection.execute(
            update(chunks)
            .where(*_is_open(claimed.chunk_id), chunks.c.starts > 0)
            .values(starts=chunks.c.starts - 1, started_at=None, **_UNSUSPECTED)
        )


def doubt_failures(database: Database, run_id: int) -> None:
    """Have the next scan try again whatever the run left failed, since the cause may not lie with the images.

    An outcome that does not say which mtime its file had is up to date with none. The size stays: what is known of
    copies rests on it.
    """
    of_run = outcomes.c.run_id == run_id, outcomes.c.error_kind.is_not(None)
    with database.write() as connection:
        connection.execute(update(outcomes).where(*of_run).values(mtime_ns=None))


def _store(
    database: Database,
    connection: Connection,
    run: Run,
    claimed: Claim,
    results: Sequence[Outcome],
    worker: str,
    marks: dict[str, Any],
) -> bool:
    """Write outcomes and, last, the chunk's marks and counts; take all of it back if the chunk is done already."""
    if results:
        database.upsert_rows(
            connection,
            outcomes,
            _KEY,
            _VALUES,
            _COLUMNS,
            database.bound(_COLUMNS, [_row(outcome) for outcome in results]),
            model_id=run.model_id,
            run_id=run.id,
            chunk_id=claimed.chunk_id,
            queue_ms=claimed.queue_ms,
            worker=worker,
            labelled_at=datetime.now(UTC),
        )
    # Counted, not added up: two workers may have labelled the chunk image by image, side by side.
    stored, failed = connection.execute(
        _stored(run, claimed.chunk_id).with_only_columns(func.count(), func.count(outcomes.c.error_kind))
    ).one()
    marked = connection.execute(
        update(chunks)
        .where(*_is_open(claimed.chunk_id))
        .values(ok=stored - failed, failed=failed, **_UNSUSPECTED, **marks)
    )
    if marked.rowcount == 0:
        connection.rollback()
    return bool(marked.rowcount)


def _stored(run: Run, chunk_id: int) -> Select[Any]:
    """Select the ids of the chunk's images whose outcomes the chunk has stored."""
    return (
        select(outcomes.c.image_id)
        .join(manifest, and_(manifest.c.image_id == outcomes.c.image_id, manifest.c.chunk_id == chunk_id))
        .where(outcomes.c.model_id == run.model_id, outcomes.c.chunk_id == chunk_id)
    )


def _is_open(chunk_id: int) -> tuple[ColumnElement[bool], ...]:
    return chunks.c.id == chunk_id, chunks.c.done_at.is_(None)


def _row(outcome: Outcome) -> tuple[Any, ...]:
    """Return the values of `_COLUMNS`."""
    labels = [part for label in outcome.labels for part in label]
    missing = [None] * (len(_LABELS) - len(labels))
    own = (getattr(outcome, name) for name in _OWN)
    return (outcome.image_id, OK if outcome.ok else FAILED, *labels, *missing, *own)


def _sample_values(sample: WorkerSample, now: datetime) -> dict[str, Any]:
    return {
        "host": sample.host,
        "pid": sample.pid,
        "process": sample.process,
        "started_at": sample.started_at,
        "seen_at": now,
        "rss_bytes": sample.rss_bytes,
        "peak_rss_bytes": sample.peak_rss_bytes,
    }
