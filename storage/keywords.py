"""What each image shows by its newest labels, page by page: for programs that know keywords."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import column, select, table

from storage.manifest import path_of
from storage.tables import OK, images, outcomes, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Select

    from storage.database import Database

#: Images that are in memory at a time. Each page is a transaction of its own: files are written between them, which may
#: take hours, and no transaction should last that long.
PAGE_IMAGES = 1_000
#: The views that users see: what people said counts there already.
_RESULTS = table(
    "results", *map(column, ("image_id", "run_id", "status", "label", "label_source", "score_1", "labelled_at"))
)
_THINGS = table("things", *map(column, ("image_id", "model_id", "thing", "score")))


class Shown(NamedTuple):
    """An image, and what it shows."""

    path: str  #: bytes that are not UTF-8 as surrogate escapes, as `os` takes them
    things: tuple[str, ...] = ()  #: kinds and those above them
    label: str | None = None  #: a person's, or the model's


def shown_pages(database: Database, min_score: float) -> Iterator[list[Shown]]:
    """Yield what images show that have labels, by the newest of them: of any model, and of people first.

    Args:
        database: where.
        min_score: the least score that a kind or a label must have, 0…1. What people said has 1.

    """
    return _pages(database, partial(_shown, min_score=min_score))


def path_pages(database: Database) -> Iterator[list[Shown]]:
    """Yield all images, whatever they show."""
    return _pages(database, lambda _, page: [Shown(path_of(image.path, image.path_hex)) for image in page])


def archive_roots(database: Database) -> list[str]:
    """Return the roots of all runs that have labelled anything, each once."""
    labelled = select(outcomes.c.image_id).where(outcomes.c.run_id == runs.c.id).exists()
    with database.read() as connection:
        found = connection.execute(select(runs.c.roots).where(labelled).order_by(runs.c.id)).scalars()
        return list(dict.fromkeys(root for roots in found for root in roots))


def _pages(database: Database, read: Callable[[Connection, Sequence[Any]], list[Shown]]) -> Iterator[list[Shown]]:
    last = 0
    while True:
        query = select(images.c.id, images.c.path, images.c.path_hex).where(images.c.id > last)
        with database.read() as connection:
            page = connection.execute(query.order_by(images.c.id).limit(PAGE_IMAGES)).all()
            found = read(connection, page) if page else []
        if not page:
            return
        yield found
        last = page[-1].id


def _shown(connection: Connection, page: Sequence[Any], min_score: float) -> list[Shown]:
    newest = {row.image_id: row for row in connection.execute(_labels(page))}  # of several, the last one stays
    things = defaultdict(list)
    for row in connection.execute(_things(page, min_score)):
        if row.image_id in newest and row.model_id == newest[row.image_id].model_id:
            things[row.image_id].append(row.thing)
    return [
        Shown(
            path_of(image.path, image.path_hex),
            tuple(dict.fromkeys(things[image.id])),
            _label(newest[image.id], min_score),
        )
        for image in page
        if image.id in newest
    ]


def _labels(page: Sequence[Any]) -> Select[Any]:
    """Select the labels of a page's images, the newest of each last."""
    return (
        select(
            *(_RESULTS.c[name] for name in ("image_id", "label", "label_source", "score_1")),
            runs.c.model_id,
        )
        .join(runs, runs.c.id == _RESULTS.c.run_id)
        .where(_of_page(_RESULTS.c.image_id, page), _RESULTS.c.status == OK)
        .order_by(_RESULTS.c.image_id, _RESULTS.c.labelled_at, runs.c.id)
    )


def _things(page: Sequence[Any], min_score: float) -> Select[Any]:
    return (
        select(_THINGS.c.image_id, _THINGS.c.model_id, _THINGS.c.thing)
        .where(_of_page(_THINGS.c.image_id, page), _THINGS.c.score >= min_score)
        .order_by(_THINGS.c.image_id, _THINGS.c.thing)
    )


def _of_page(image_id: ColumnElement[Any], page: Sequence[Any]) -> ColumnElement[bool]:
    return image_id.between(page[0].id, page[-1].id)


def _label(row: Any, min_score: float) -> str | None:  # noqa: ANN401 - of a query
    """Return the label that counts; None where a person denied it, or the model is not that sure."""
    is_sure = row.label_source == "person" or row.score_1 >= min_score
    return row.label if is_sure else None
