"""Storing what became of a chunk's images."""

from __future__ import annotations

from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, func, literal_column, select, update

from storage.chunk_claims import NO_SUSPECT, chunk_images, is_open
from storage.records import storable
from storage.samples import write_chunk_rows
from storage.tables import FAILED, OK, chunks, identity, image_things, manifest, models, outcomes, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
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
    *("kind", "kind_score", "error_kind", "error", "warning", "width", "height", "size", "mtime_ns", "content"),
    *("read_ms", "decode_ms", "infer_ms", "total_ms", "computed_in", "copied_from"),
)
_LABELS = tuple(f"{part}_{rank}" for rank in (1, 2, 3) for part in ("label", "score"))
_COLUMNS = ("image_id", "status", *_LABELS, *_OWN)
_THING_COLUMNS = ("image_id", "model_id", "thing", "score")
#: Made once, as in `chunk_claims`: what it sets are its parameters.
_MARK = update(chunks).where(chunks.c.id == bindparam("of_chunk"))


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
    prepared = _prepare(claimed, results)
    with database.write(small=True) as connection:
        now = max(database.now(connection), claimed.started_at)  # clocks are set back
        write_chunk_rows(database, connection, rows, now)
        done = {"done_at": now, "started_at": claimed.started_at, "worker": worker}
        return _store(database, connection, claimed, prepared, worker, now, done)


def store_one(database: Database, claimed: Claim, outcome: Outcome, worker: str) -> bool:
    """Store one outcome of a chunk that is labelled image by image, and clear the suspicion.

    Returns:
        False if another worker has stored the chunk already; then nothing is changed.

    """
    prepared = _prepare(claimed, [outcome])
    with database.write(small=True) as connection:
        now = database.now(connection)
        return _store(database, connection, claimed, prepared, worker, now, {}) is Stored.DONE


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


def write_things(
    database: Database, connection: Connection, model_id: int, things: Mapping[int, Iterable[tuple[str, float]]]
) -> None:
    """Write what each of these images shows, in place of what the same model said of them before."""
    _delete_things(connection, model_id, things)
    _insert_things(database, connection, _things(model_id, things))


class _Prepared(NamedTuple):
    """Outcomes as rows: made before a transaction begins, which on SQLite keeps all others from writing."""

    outcomes: Sequence[tuple[Any, ...]]  #: of `_COLUMNS`, in the order of the images
    things: Sequence[tuple[Any, ...]]  #: of `_THING_COLUMNS`
    image_ids: Sequence[int]
    failed: int


def _prepare(claimed: Claim, results: Sequence[Outcome]) -> _Prepared:
    # In one order: two that store the same images of different chunks wait for each other, not crosswise.
    ordered = sorted(results, key=lambda one: one.image_id)
    return _Prepared(
        outcomes=[_row(one) for one in ordered],
        things=_things(claimed.run.model_id, {one.image_id: one.things for one in ordered}),
        image_ids=[one.image_id for one in ordered],
        failed=sum(not one.ok for one in ordered),
    )


def _store(
    database: Database,
    connection: Connection,
    claimed: Claim,
    prepared: _Prepared,
    worker: str,
    now: datetime,
    done: dict[str, Any],
) -> Stored:
    """Write outcomes and, last, the chunk's marks and counts; roll all of it back where the chunk is not as claimed."""
    is_as_claimed, has_things = _look(database, connection, claimed, prepared.image_ids)
    if not is_as_claimed:
        connection.rollback()
        return Stored.TOO_LATE
    if prepared.outcomes:
        database.upsert_each(
            connection,
            outcomes,
            _KEY,
            _VALUES,
            _COLUMNS,
            prepared.outcomes,
            model_id=claimed.run.model_id,
            run_id=claimed.run.id,
            chunk_id=claimed.chunk_id,
            queue_ms=claimed.queue_ms,
            worker=worker,
            labelled_at=now,
        )
        if has_things:
            _delete_things(connection, claimed.run.model_id, prepared.image_ids)
        _insert_things(database, connection, prepared.things)
    stored, failed = _count(connection, claimed, prepared)
    if done and stored != len(claimed.images):
        connection.rollback()
        return Stored.INCOMPLETE
    marks = {"ok": stored - failed, "failed": failed, **NO_SUSPECT, **done}
    connection.execute(_MARK, {"of_chunk": claimed.chunk_id, **marks})
    return Stored.DONE


def _look(database: Database, connection: Connection, claimed: Claim, image_ids: Sequence[int]) -> tuple[bool, bool]:
    """Tell whether a chunk is as it was claimed, and whether there may be things of these images.

    It is still to be labelled, and its numbers still mean what they meant when it was claimed. A database may be made
    anew, or set back to a backup, under a worker: then the same numbers are other images, or another model, and labels
    would stand under a name that is not theirs.
    """
    first, last = (image_ids[0], image_ids[-1]) if image_ids else (0, 0)
    row = connection.execute(
        _look_statement(is_sqlite=database.is_sqlite),
        {"of_chunk": claimed.chunk_id, "first_image": first, "last_image": last},
    ).one_or_none()
    expected = (claimed.database, claimed.run.id, claimed.run.model_id, claimed.run.model.key)
    if row is None or row[:4] != expected or chunk_images(connection, claimed.chunk_id) != claimed.images:
        return False, False
    return True, bool(row.has_things)


@cache
def _look_statement(*, is_sqlite: bool) -> Select[Any]:
    between = image_things.c.image_id.between(bindparam("first_image"), bindparam("last_image"))
    # Where none of the images from the first to the last has any, which is all of them where they are new, nothing
    # has to be deleted. On a server another transaction may be writing some at this moment: there, always.
    has_things = select(image_things.c.image_id).where(between).exists() if is_sqlite else literal_column("true")
    return (
        select(
            select(identity.c.uuid).scalar_subquery(),
            runs.c.id,
            runs.c.model_id,
            models.c.key,
            has_things.label("has_things"),
        )
        .join_from(chunks, runs, runs.c.id == chunks.c.run_id)
        .join(models, models.c.id == runs.c.model_id)
        .where(*is_open(bindparam("of_chunk")))
        .with_for_update(of=chunks)  # of two that store the chunk at once, the second one waits, and is too late
    )


def _count(connection: Connection, claimed: Claim, prepared: _Prepared) -> tuple[int, int]:
    """Return how many of the chunk's images have their outcome of it, and how many of those failed."""
    if prepared.image_ids == [image.image_id for image in claimed.images]:
        return len(prepared.image_ids), prepared.failed  # all were just written, and nobody else can before the commit
    # Counted, not added up: two workers may have labelled the chunk image by image, side by side.
    query = _stored(claimed).with_only_columns(func.count(), func.count(outcomes.c.error_kind))
    stored, failed = connection.execute(query).one()
    return stored, failed


def _delete_things(connection: Connection, model_id: int, image_ids: Iterable[int]) -> None:
    of_images = image_things.c.image_id.in_(image_ids)
    connection.execute(delete(image_things).where(of_images, image_things.c.model_id == model_id))


def _insert_things(database: Database, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        key = ("image_id", "model_id", "thing")
        database.upsert_each(connection, image_things, key, ("score",), _THING_COLUMNS, rows)


def _things(model_id: int, things: Mapping[int, Iterable[tuple[str, float]]]) -> list[tuple[Any, ...]]:
    """Return the values of `_THING_COLUMNS`."""
    return sorted((image_id, model_id, *thing) for image_id, shown in things.items() for thing in shown)


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
