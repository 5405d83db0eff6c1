"""Models and runs: what was asked for."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import and_, case, func, insert, or_, select, update

from storage.column_types import LARGEST_ID
from storage.records import Model, Preprocessing, Progress, Run
from storage.tables import categories, chunks, models, runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row, Select

    from storage.database import Database
    from storage.records import RunState

#: Filters of a run that measures: each of its images is computed, though another one has the same bytes.
COMPUTE_ALL = {"compute": ["all"]}


def _register_model(database: Database, connection: Connection, model: Model, labels: Sequence[str]) -> int:
    """Return the id of the model's row, which is made where it is missing, as are those of its labels."""
    values = {name: value for name, value in asdict(model).items() if name != "preprocessing"}
    connection.execute(
        database.insert_or_keep(models, ("key",)),
        {
            "key": model.key,
            "preprocessing": asdict(model.preprocessing),
            "created_at": database.now(connection),
            **values,
        },
    )
    # Locked, so that of two commands that open the first run of a model one finds the other's.
    own = select(models.c.id).where(models.c.key == model.key).with_for_update()
    model_id = int(connection.execute(own).scalar_one())
    known = select(categories.c.label).where(categories.c.model_id == model_id)
    if labels and not connection.execute(known).first():
        rows = [{"model_id": model_id, "class_index": index, "label": label} for index, label in enumerate(labels)]
        connection.execute(insert(categories), rows)
    return model_id


def open_run(
    database: Database,
    model: Model,
    *,
    engine: str,
    roots: Sequence[str],
    filters: Mapping[str, Any],
    labels: Sequence[str] = (),
) -> tuple[Run, bool]:
    """Return the unfinished run over the same roots, filters and model, or a new one; and whether it is new.

    `labels` are all that the model can say, for those who ask the database.
    """
    asked = sorted(roots), _in_any_order(filters)
    with database.write() as connection:
        model_id = _register_model(database, connection, model, labels)
        unfinished = _runs().where(runs.c.model_id == model_id, _UNFINISHED)
        for row in connection.execute(unfinished.order_by(runs.c.id.desc())):
            if (sorted(row.roots), _in_any_order(row.filters)) == asked:
                return replace(run_of_row(row), engine=engine), False
        run_id = connection.execute(
            insert(runs).values(
                model_id=model_id,
                engine=engine,
                roots=list(roots),
                filters=dict(filters),
                created_at=database.now(connection),
                skipped=0,
                ignored=0,
            )
        ).inserted_primary_key[0]  # type: ignore[index]
        return read_run(connection, run_id), True


def get_run(database: Database, run_id: int) -> Run | None:
    """Return the run of a number; None if there is none."""
    if run_id > LARGEST_ID:
        return None
    with database.read() as connection:
        row = connection.execute(_runs().where(runs.c.id == run_id)).one_or_none()
    return None if row is None else run_of_row(row)


def read_run(connection: Connection, run_id: int) -> Run:
    """Return a run that is there, as a transaction sees it."""
    return run_of_row(connection.execute(_runs().where(runs.c.id == run_id)).one())


def newest_run(database: Database, architecture: str | None = None) -> Run | None:
    """Return the newest run that has images in its manifest: one that found nothing new tells nothing of the night.

    `architecture` is that of its model, where only one is meant.
    """
    with database.read() as connection:
        return read_newest_run(connection, architecture)


def read_newest_run(connection: Connection, architecture: str | None = None) -> Run | None:
    """Return the same as `newest_run`, as a transaction sees it."""
    query = _runs().where(select(chunks.c.id).where(chunks.c.run_id == runs.c.id).exists())
    if architecture is not None:
        query = query.where(models.c.architecture == architecture)
    row = connection.execute(query.order_by(runs.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else run_of_row(row)


def runs_since(database: Database, since: datetime) -> list[Run]:
    """Return the runs with images in their manifest that were begun since a time, oldest first."""
    has_images = select(chunks.c.id).where(chunks.c.run_id == runs.c.id).exists()
    with database.read() as connection:
        query = _runs().where(has_images, runs.c.created_at >= since).order_by(runs.c.id)
        return [run_of_row(row) for row in connection.execute(query)]


def unfinished_runs(database: Database) -> list[Run]:
    """Return the runs with images that may still miss their outcome, oldest first."""
    with database.read() as connection:
        return read_unfinished_runs(connection)


def read_unfinished_runs(connection: Connection) -> list[Run]:
    """Return the same as `unfinished_runs`, as a transaction sees it."""
    query = select_runs(unfinished=True).order_by(runs.c.id)
    return [run_of_row(row) for row in connection.execute(query)]


def begin_scan(database: Database, run_id: int) -> None:
    """Note that the run's manifest is being written, for the first time or again."""
    with database.write() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(scanned_at=None))


def run_to_serve(database: Database) -> Run | None:
    """Return the unfinished run that workers are most likely started for: the one followed last, else the newest."""
    query = select_runs(unfinished=True).order_by(runs.c.followed_at.desc().nulls_last(), runs.c.id.desc()).limit(1)
    with database.read() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else run_of_row(row)


def mark_scanned(database: Database, run_id: int, *, skipped: int, ignored: int) -> None:
    """Note that the manifest is complete, and what the scan left out of it."""
    with database.write() as connection:
        connection.execute(
            update(runs)
            .where(runs.c.id == run_id)
            .values(scanned_at=database.now(connection), skipped=skipped, ignored=ignored)
        )


def set_engine(database: Database, run: Run) -> None:
    """Note which engine labels the run from now on: a run that is taken up again may have another."""
    with database.write() as connection:
        connection.execute(update(runs).where(runs.c.id == run.id).values(engine=run.engine))


def cancel(database: Database, run_id: int) -> Run | None:
    """Give an unfinished run up: what it has no outcome for is not labelled any more. What it labelled stays.

    Returns:
        The run as it was before; None if there is none of that number.

    """
    if run_id > LARGEST_ID:
        return None
    with database.write() as connection:
        row = connection.execute(_runs().where(runs.c.id == run_id)).one_or_none()
        if row is None:
            return None
        now = database.now(connection)
        connection.execute(update(runs).where(runs.c.id == run_id, _UNFINISHED).values(cancelled_at=now))
        return run_of_row(row)


def last_done(database: Database) -> tuple[datetime | None, datetime]:
    """Return when a chunk of any run was last done, and the time now, by the database's clock."""
    with database.read() as connection:
        return connection.execute(select(func.max(chunks.c.done_at))).scalar(), database.now(connection)


def progress(database: Database, run_id: int) -> Progress:
    """Count the run's images and chunks by what became of them."""
    with database.read() as connection:
        return read_progress(connection, run_id)


def read_progress(connection: Connection, run_id: int) -> Progress:
    """Return the same as `progress`, as a transaction sees it."""
    done = chunks.c.done_at.is_not(None)
    waiting = and_(~done, chunks.c.published_at.is_(None))
    begun = and_(~done, chunks.c.published_at.is_not(None), chunks.c.started_at.is_not(None))

    def total(value: Any) -> Any:  # noqa: ANN401 - SQL expressions
        return func.coalesce(func.sum(value), 0)

    query = select(
        total(chunks.c.images),
        total(chunks.c.ok),
        total(chunks.c.failed),
        func.count(),
        total(case((done, 1), else_=0)),
        total(case((waiting, 1), else_=0)),
        total(case((begun, 1), else_=0)),
        total(case((begun, chunks.c.images - func.coalesce(chunks.c.ok + chunks.c.failed, 0)), else_=0)),
        total(case((chunks.c.starts > 1, chunks.c.starts - 1), else_=0)),
    ).where(chunks.c.run_id == run_id)
    counts = [int(count) for count in connection.execute(query).one()]
    names = (
        "images",
        "ok",
        "failed",
        "chunks",
        "chunks_done",
        "chunks_waiting",
        "chunks_in_work",
        "images_in_work",
        "extra_starts",
    )
    return Progress(**dict(zip(names, counts, strict=True)))


def _in_any_order(filters: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: sorted(values) for name, values in filters.items()}


_HAS_OPEN_CHUNK = select(chunks.c.id).where(chunks.c.run_id == runs.c.id, chunks.c.done_at.is_(None)).exists()
_UNFINISHED = and_(runs.c.cancelled_at.is_(None), or_(runs.c.scanned_at.is_(None), _HAS_OPEN_CHUNK))


def select_runs(*, unfinished: bool) -> Select[Any]:
    """Select the runs that are unfinished, or those that are not; `run_of_row` reads what comes."""
    return _runs().where(_UNFINISHED if unfinished else ~_UNFINISHED)


def _runs() -> Select[Any]:
    return select(
        runs,
        _HAS_OPEN_CHUNK.label("has_open_chunk"),
        *(
            models.c[name].label(f"model_{name}")
            for name in ("architecture", "recipe", "weights", "precision", "preprocessing", "calibration")
        ),
    ).join(models, models.c.id == runs.c.model_id)


def run_of_row(row: Row[Any]) -> Run:
    """Return the run in a row of `select_runs`."""
    return Run(
        id=row.id,
        model_id=row.model_id,
        model=Model(
            architecture=row.model_architecture,
            recipe=row.model_recipe,
            weights=row.model_weights,
            precision=row.model_precision,
            preprocessing=Preprocessing.from_json(row.model_preprocessing),
            calibration=row.model_calibration,
        ),
        engine=row.engine,
        roots=tuple(row.roots),
        state=_state(row),
        created_at=row.created_at,
        follower=row.follower,
        follower_process=row.follower_process,
        followed_at=row.followed_at,
        skipped=row.skipped,
        ignored=row.ignored,
        reuse=_reuse(row.filters),
    )


def _reuse(filters: Mapping[str, Any]) -> Literal["any", "own", "never"]:
    """Return which labels of the same bytes a run's images take: whoever labels again wants new ones."""
    if COMPUTE_ALL.keys() & filters.keys():
        return "never"
    return "own" if {"relabel", "retry"} & filters.keys() else "any"


def _state(row: Row[Any]) -> RunState:
    if row.cancelled_at:
        return "cancelled"
    if row.scanned_at is None:
        return "scanning"
    return "labelling" if row.has_open_chunk else "finished"
