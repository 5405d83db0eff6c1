"""Find the images of a thing: a kind, one above it, or a class."""

from __future__ import annotations

import heapq
from datetime import UTC
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, literal, or_, select, tuple_

from common.errors import UsageError
from storage.correction_tables import corrections
from storage.folders import below
from storage.manifest import path_of
from storage.said_of_things import denies_kind, denies_label, labels_of
from storage.tables import categories, image_things, images, models, outcomes
from vocabulary.names import Thing, nearest_names, things_called

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row, Select, Table

    from storage.database import Database

#: The score of what a person said.
CERTAIN = 1.0
#: Rows that are asked for at once: each time twice as many, so that a short list costs little and a long one few turns.
_FIRST_PAGE, _LARGEST_PAGE = 1_000, 16_000


class FoundImage(NamedTuple):
    """An image that shows what was looked for."""

    path: str  #: bytes that are not UTF-8 as surrogate escapes, as `os` takes them
    score: float  #: of a kind, its sum over all classes; of a class, its own; `CERTAIN` where a person said so
    image_id: int
    by_person: bool
    label: str | None  #: its best one, or what a person said; None: a person said that it is not that


def things_in(database: Database, words: str) -> tuple[Thing, ...]:
    """Return what is meant by these words: a kind or a class by any of its names, or a label of a model's own.

    Raises:
        UsageError: nothing is called so; with what is written much like it.

    """
    known = things_called(words)
    if known:
        return known
    own = select(categories.c.label).where(func.lower(categories.c.label) == words.lower()).distinct()
    with database.read() as connection:
        labels = connection.execute(own).scalars().all()
    if not labels:
        raise UsageError(f"Nothing is called {words!r}.{did_you_mean(nearest_names(words))}")
    return tuple(Thing(label, is_kind=False) for label in labels)


def did_you_mean(near: Sequence[str]) -> str:
    """Return the end of a sentence about words that nothing is called by: names that are written much like them."""
    return f" Did you mean: {', '.join(near)}?" if near else ""


def find_images(
    database: Database,
    things: Sequence[Thing],
    min_score: float = 0.0,
    folder: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> Iterator[FoundImage]:
    """Yield the images that show one of these things, each once: what people said first, then the highest scores.

    Args:
        database: where.
        things: kinds, or classes by their labels.
        min_score: the least score, 0…1.
        folder: only images below this folder, an absolute path.
        since: only files that were modified at this time or later, as the newest scan saw them.
        limit: how many at most; None: all.

    """
    limits = [*([below(folder)] if folder is not None else []), *_modified_since(since)]
    first_page = min(limit or _FIRST_PAGE, _FIRST_PAGE)
    with database.read() as connection:
        denied = _denied_labels(connection)
        found = heapq.merge(
            *(_said_by_people(connection, thing, limits) for thing in things),
            *(
                _labelled(connection, source, first_page, but)
                for thing, but in [(thing, _other_by_people(connection, thing)) for thing in things]
                for source in _sources(connection, thing, min_score, limits)
            ),
            key=lambda image: (not image.by_person, -image.score),
        )
        for image in islice(_each_once(found), limit):
            yield image._replace(label=None) if (image.image_id, image.label) in denied else image


def _each_once(found: Iterable[FoundImage]) -> Iterator[FoundImage]:
    seen: set[int] = set()
    for image in found:
        if image.image_id not in seen:
            seen.add(image.image_id)
            yield image


class _Source(NamedTuple):
    """Where scores of a thing stand, and what finds them: not in order, and without an end."""

    query: Select[Any]  #: selects path, path_hex, score, image_id, label
    score: ColumnElement[float]
    image_id: ColumnElement[int]


def _sources(
    connection: Connection, thing: Thing, min_score: float, limits: Sequence[ColumnElement[bool]]
) -> Iterator[_Source]:
    """Yield where models' scores of a thing stand; of a class, each of the three places among the labels.

    Each is a query of its own, which an index answers in the order of its scores: of a union, Postgres sorts all.
    """
    if thing.is_kind:
        labelled = outcomes.c.image_id == image_things.c.image_id, outcomes.c.model_id == image_things.c.model_id
        conditions = image_things.c.thing == thing.key, *labelled, *limits
        yield _source(image_things, image_things.c.score, min_score, conditions)
        return
    for model_id in connection.execute(select(models.c.id)).scalars().all():
        best = outcomes.c.label_1 == thing.key, outcomes.c.model_id == model_id  # as in `outcomes_by_label`
        yield _source(outcomes, outcomes.c.score_1, min_score, (*best, *limits))
    for rank in (2, 3):
        is_labelled = outcomes.c[f"label_{rank}"] == thing.key
        yield _source(outcomes, outcomes.c[f"score_{rank}"], min_score, (is_labelled, *limits))


def _source(
    table: Table, score: ColumnElement[float], min_score: float, conditions: Sequence[ColumnElement[bool]]
) -> _Source:
    query = _select_images(table.c.image_id, score, outcomes.c.label_1)
    query = query.where(images.c.id == table.c.image_id)
    return _Source(query.where(*conditions, score >= min_score), score, table.c.image_id)


def _labelled(connection: Connection, source: _Source, first_page: int, but: Collection[int]) -> Iterator[FoundImage]:
    """Yield what models labelled so, the highest scores first, page by page: what people said otherwise is left out.

    A query with a limit is planned for its first rows; for a cursor, Postgres plans for a tenth of all, and sorts.
    """
    rows = first_page
    query = source.query.order_by(source.score.desc(), source.image_id.desc())
    page = connection.execute(query.limit(rows)).all()
    while page:
        for row in page:
            if row.image_id not in but:
                yield _found(row, by_person=False)
        if len(page) < rows:
            return
        rows = min(2 * rows, _LARGEST_PAGE)
        # An image that has its score twice, of two models, is left out the second time.
        further = tuple_(source.score, source.image_id) < tuple_(page[-1].score, page[-1].image_id)
        page = connection.execute(query.where(further).limit(rows)).all()


def _said_by_people(
    connection: Connection, thing: Thing, limits: Sequence[ColumnElement[bool]]
) -> Iterator[FoundImage]:
    """Yield what people said is such a thing."""
    shows = corrections.c.label.in_(labels_of([thing.key])) if thing.is_kind else corrections.c.label == thing.key
    query = (
        _select_images(outcomes.c.image_id, literal(CERTAIN), corrections.c.label)
        .join(outcomes, outcomes.c.content == corrections.c.content)
        .join(images, images.c.id == outcomes.c.image_id)
        .where(corrections.c.ended_at.is_(None), shows, *limits)
        .order_by(images.c.path)
    )
    for row in connection.execute(query):
        yield _found(row, by_person=True)


def _select_images(
    image_id: ColumnElement[int], score: ColumnElement[float], label: ColumnElement[str | None]
) -> Select[Any]:
    named = score.label("score"), image_id.label("image_id"), label.label("label")
    return select(images.c.path, images.c.path_hex, *named)


def _found(row: Row[Any], *, by_person: bool) -> FoundImage:
    return FoundImage(path_of(row.path, row.path_hex), row.score, row.image_id, by_person, row.label)


def _other_by_people(connection: Connection, thing: Thing) -> Collection[int]:
    """Return the images of which people said what they are, or that they are not this, nor anything above it.

    Few, next to all that shows the thing: looked up once, and not for each image, whatever the database would plan.
    """
    denied = denies_kind(thing.key) if thing.is_kind else denies_label(literal(thing.key))
    query = (
        select(outcomes.c.image_id)
        .join(corrections, corrections.c.content == outcomes.c.content)
        .where(corrections.c.ended_at.is_(None), or_(corrections.c.label.is_not(None), denied))
    )
    return set(connection.execute(query).scalars())


def _denied_labels(connection: Connection) -> Collection[tuple[int, str]]:
    """Return the images of whose best labels people said that they are not that, each with that label."""
    query = (
        select(outcomes.c.image_id, outcomes.c.label_1)
        .join(corrections, corrections.c.content == outcomes.c.content)
        .where(corrections.c.ended_at.is_(None), denies_label(outcomes.c.label_1))
    )
    return {(image_id, label) for image_id, label in connection.execute(query)}


def _modified_since(since: datetime | None) -> list[ColumnElement[bool]]:
    if since is None:
        return []
    nanoseconds = round(since.astimezone(UTC).timestamp()) * 1_000_000_000
    return [images.c.mtime_ns >= nanoseconds]
