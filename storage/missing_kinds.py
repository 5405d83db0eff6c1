"""Give kinds to images that were labelled before there were any, from the three labels that are stored of each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, func, select, update

from storage.outcomes import write_things
from storage.tables import categories, models, outcomes
from vocabulary.kinds import have_kinds, kinds_of_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from storage.database import Database

#: Of one transaction, which takes about a tenth of a second: a chunk that is to be stored waits no longer.
_BATCH = 1_000
#: How long SQLite's only lock is left to others after each transaction, in such transactions: whoever wants it looks
#: again every tenth of a second.
_PAUSE = 0.5
_COLUMNS = ("image_id", "kind", "kind_score")
_LABELS = tuple(outcomes.c[f"{part}_{rank}"] for rank in (1, 2, 3) for part in ("label", "score"))


class Filled(NamedTuple):
    """What became of the results without kinds."""

    results: int  #: that have kinds now: one per image and model
    without: int  #: of models whose labels are not ImageNet's, and have no kinds


def lacks_kinds(database: Database) -> bool:
    """Tell whether there are images that could have kinds and have none."""
    with database.read() as connection:
        return bool(_models_that_lack_kinds(connection))


def count_missing_kinds(database: Database) -> int:
    """Count the results, one per image and model, that could have kinds and have none."""
    with database.read() as connection:
        return _count(connection, _models_that_lack_kinds(connection))


def fill_kinds(database: Database, progress: Callable[[int, int], None]) -> Filled:
    """Give kinds and things to what has labels and none: sums over three labels, where a worker sums over all classes.

    Each transaction is short, and what is filled stays: it may be interrupted, and run beside workers.

    Args:
        database: where.
        progress: told, again and again, how many results have kinds now, and of how many that had none.

    """
    with database.read() as connection:
        model_ids = _models_that_lack_kinds(connection)
        total = _count(connection, model_ids)
        everything = connection.execute(select(func.count()).select_from(outcomes).where(*_missing())).scalar_one()
    done = 0
    progress(done, total)
    for model_id in model_ids:
        last: int | None = 0
        while last is not None:
            begun = time.monotonic()
            with database.write() as connection:
                last, filled = _fill_batch(database, connection, model_id, last)
            done += filled
            progress(done, max(done, total))
            if database.is_sqlite:
                time.sleep((time.monotonic() - begun) * _PAUSE)
    return Filled(done, everything - total)


def _missing(after: int = 0) -> tuple[ColumnElement[bool], ...]:
    """Return what the index `outcomes_without_kind` is of, after some image."""
    # Image ids are positive: what is said of them has SQLite prefer this index to another one.
    return outcomes.c.kind.is_(None), outcomes.c.label_1.is_not(None), outcomes.c.image_id > after


def _models_that_lack_kinds(connection: Connection) -> list[int]:
    """Return the models of ImageNet's classes of which there are results without kinds."""
    lacking = select(outcomes.c.image_id).where(outcomes.c.model_id == models.c.id, *_missing()).exists()
    ids = connection.execute(select(models.c.id).where(lacking).order_by(models.c.id)).scalars().all()
    return [model_id for model_id in ids if have_kinds(connection.execute(_labels_of(model_id)).scalars().all())]


def _labels_of(model_id: int) -> Select[Any]:
    return select(categories.c.label).where(categories.c.model_id == model_id).order_by(categories.c.class_index)


def _count(connection: Connection, model_ids: Sequence[int]) -> int:
    query = select(func.count()).select_from(outcomes).where(outcomes.c.model_id.in_(model_ids), *_missing())
    return int(connection.execute(query).scalar_one())


def _fill_batch(database: Database, connection: Connection, model_id: int, after: int) -> tuple[int | None, int]:
    """Fill some results, in the order of their images; return the last image, None if there are no more, and how many.

    Locked, in the order in which workers store: one that stores the same images waits, and has the last word.
    """
    query = (
        select(outcomes.c.image_id, *_LABELS)
        .where(outcomes.c.model_id == model_id, *_missing(after))
        .order_by(outcomes.c.image_id)
        .limit(_BATCH)
        .with_for_update()
    )
    rows = connection.execute(query).all()
    if not rows:
        return None, 0
    of_image = {row.image_id: kinds for row in rows if (kinds := kinds_of_labels(_labels(row)))}
    if of_image:
        new = database.table_of(outcomes, _COLUMNS)
        statement = (
            update(outcomes)
            .where(outcomes.c.image_id == new.c.image_id, outcomes.c.model_id == bindparam("of_model"))
            .values(kind=new.c.kind, kind_score=new.c.kind_score)
        )
        values = [(image_id, kinds.kind, kinds.score) for image_id, kinds in of_image.items()]
        connection.execute(statement, {**database.bound(_COLUMNS, values), "of_model": model_id})
        write_things(database, connection, model_id, {image_id: kinds.things for image_id, kinds in of_image.items()})
    return rows[-1].image_id, len(of_image)


def _labels(row: Row[Any]) -> list[tuple[str, float]]:
    pairs = ((row[place], row[place + 1]) for place in (1, 3, 5))
    return [(label, score) for label, score in pairs if label is not None]
