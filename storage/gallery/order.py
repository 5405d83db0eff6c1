"""The gallery's order: where an image stands in it, and which ones come next.

An order is that of an index, read from some place on, so that a page takes as long however far it is; of few images, it
is made by sorting them. In the order of scores there are several indexes, one per thing and per place among an
image's labels: each is asked for a page, and they are merged.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, collate, func, literal, or_, select

from common.errors import UsageError
from storage.gallery.conditions import (
    below,
    conditions,
    indexed_path,
    nanoseconds,
    needs_images,
    said_to_show,
    score_of,
    stands_for,
    unindexed,
)
from storage.gallery.filters import Cursor, Sort
from storage.gallery.narrowing import few_images
from storage.path_keys import PATH_HEAD_CHARACTERS
from storage.tables import image_things, images, outcomes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection, Select

    from storage.gallery.conditions import Circumstances
    from storage.gallery.filters import Filters
    from vocabulary.names import Thing

#: What people said comes before every score that a model gives.
_SAID = 2.0


class Key(NamedTuple):
    """Where an image stands in an order."""

    value: Any
    image_id: int
    model_id: int

    def cursor(self, sort: Sort, *, is_backward: bool = False) -> Cursor:
        """Return the place after it, or before it."""
        return Cursor(sort, None if sort is Sort.PATH else self.value, self.image_id, is_backward)


class _Source(NamedTuple):
    """Images that an index has in the order of a value, and of their ids where that is the same."""

    value: ColumnElement[Any]
    image_id: ColumnElement[int]
    model_id: ColumnElement[int]
    conditions: list[ColumnElement[bool]]
    head: ColumnElement[Any] | None = None  #: what the index sorts by, where it is not the whole value

    def of_few(self, few: Select[Any]) -> _Source:
        """Leave few of them, which are sorted: no index of the order is to be walked along until they are met."""
        here = [*self.conditions, self.image_id.in_(few)]
        value, image_id = func.coalesce(self.value, self.value), func.coalesce(self.image_id, self.image_id)
        return _Source(value, image_id, self.model_id, here)

    def select(self, cursor: Cursor | None, value: Any, limit: int, *, is_descending: bool) -> Select[Any]:  # noqa: ANN401 - of a column
        """Select keys from a cursor on, whose value this is."""
        query = select(self.value, self.image_id, self.model_id).where(*self.conditions)
        if cursor is not None:
            ties = and_(self.value == value, _past(self.image_id, cursor.image_id, is_descending=is_descending))
            # What an index is to begin at stands by itself.
            from_there = self.value <= value if is_descending else self.value >= value
            query = query.where(from_there, or_(_past(self.value, value, is_descending=is_descending), ties))
            if self.head is not None:
                head = value[:PATH_HEAD_CHARACTERS]
                query = query.where(self.head <= head if is_descending else self.head >= head)
        order = [part for part in (self.head, self.value, self.image_id) if part is not None]
        return query.order_by(*(part.desc() if is_descending else part.asc() for part in order)).limit(limit)


def keys_of(
    connection: Connection,
    filters: Filters,
    known: Circumstances,
    sort: Sort,
    cursor: Cursor | None,
    limit: int,
    image_id: int | None = None,
) -> list[Key]:
    """Return where images stand that the filters leave, from a cursor on, in its direction.

    Args:
        connection: in a transaction.
        filters: which images.
        known: of the database.
        sort: the order.
        cursor: the place; None: from the first image on.
        limit: how many at most.
        image_id: of this image alone.

    Raises:
        UsageError: the cursor names an image that is not there.

    """
    is_descending = sort.is_descending != (cursor is not None and cursor.is_backward)
    few = few_images(connection, filters, known) if image_id is None else select(literal(image_id))
    value = _path(connection, cursor) if cursor and sort is Sort.PATH else cursor and cursor.value
    found = []
    for source in _sources(filters, known, sort, is_few=few is not None):
        of_few = source if few is None else source.of_few(few)
        query = of_few.select(cursor, value, limit, is_descending=is_descending)
        found.append([Key(*row) for row in connection.execute(query)])
    return list(islice(heapq.merge(*found, key=lambda key: key[:2], reverse=is_descending), limit))


def _past(column: ColumnElement[Any], value: Any, *, is_descending: bool) -> ColumnElement[bool]:  # noqa: ANN401 - of the column
    past: ColumnElement[bool] = column < value if is_descending else column > value
    return past


def _path(connection: Connection, cursor: Cursor) -> str:
    """Return where in the order of paths an image is."""
    path: str | None = connection.execute(
        select(images.c.path).where(images.c.id == cursor.image_id)
    ).scalar_one_or_none()
    if path is None:
        raise UsageError("There is no such page of the gallery: its address names an image that is not there.")
    return path


def _sources(filters: Filters, known: Circumstances, sort: Sort, *, is_few: bool) -> Iterator[_Source]:
    if sort is Sort.SCORE:
        yield from _by_score(filters, known, is_few=is_few)
        return
    where = conditions(filters, known)
    if not is_few:
        where += _within(filters, known, sort)
    # SQLite looks up in one direction alone, and so begins at the other end.
    by_id = outcomes.c.image_id == unindexed(images.c.id)
    if sort is Sort.LABELLED:
        joined = _images(filters)
        yield _Source(outcomes.c.labelled_at, outcomes.c.image_id, outcomes.c.model_id, [*joined, *where])
    elif sort is Sort.PATH:
        whole = images.c.path if known.is_sqlite else collate(images.c.path, "C")
        head = None if known.is_sqlite else indexed_path(known)
        yield _Source(whole, images.c.id, outcomes.c.model_id, [by_id, *where], head)
    else:
        yield _Source(images.c.mtime_ns, images.c.id, outcomes.c.model_id, [by_id, *where])


def _within(filters: Filters, known: Circumstances, sort: Sort) -> list[ColumnElement[bool]]:
    """Say once more, so that an index begins and ends there, what the filters say of what is sorted by."""
    found: list[ColumnElement[bool]] = []
    if sort is Sort.LABELLED:
        if filters.labelled_from is not None:
            found.append(outcomes.c.labelled_at >= filters.labelled_from)
        if filters.labelled_until is not None:
            found.append(outcomes.c.labelled_at < filters.labelled_until)
    elif sort is Sort.PATH:
        if filters.folder is not None:
            found.append(below(filters.folder, indexed_path(known)))
    else:
        if filters.modified_from is not None:
            found.append(images.c.mtime_ns >= nanoseconds(filters.modified_from))
        if filters.modified_until is not None:
            found.append(images.c.mtime_ns < nanoseconds(filters.modified_until))
    return found


def _images(filters: Filters) -> list[ColumnElement[bool]]:
    """Join the image of an outcome, where the filters speak of it."""
    return [images.c.id == unindexed(outcomes.c.image_id)] if needs_images(filters) else []


def _by_score(filters: Filters, known: Circumstances, *, is_few: bool) -> Iterator[_Source]:
    """Yield where scores of the things stand; an image that shows several of them is in one: that of its best."""
    rest = replace(filters, things=(), min_score=None)
    where = [*_images(rest), *conditions(rest, known)]
    for place, thing in enumerate(filters.things):
        for table, value, is_there in _scores(thing, filters, known, is_few=is_few):
            here = [*is_there, *where]
            if filters.min_score is not None:
                here.append(value >= filters.min_score)
            if known.has_corrections:
                here.append(stands_for(thing, known))
            for other_place, other in enumerate(filters.things):
                if other_place != place:
                    others = func.coalesce(score_of(other, known), -1.0)
                    here.append(others < value if other_place < place else others <= value)
            yield _Source(value, table.c.image_id, table.c.model_id, here)
    if known.has_corrections:
        said = outcomes.c.content.in_(said_to_show(filters.things)), outcomes.c.label_1.is_not(None)
        yield _Source(literal(_SAID), outcomes.c.image_id, outcomes.c.model_id, [*said, *where])


def _scores(
    thing: Thing, filters: Filters, known: Circumstances, *, is_few: bool
) -> Iterator[tuple[Any, ColumnElement[float], list[ColumnElement[bool]]]]:
    """Yield where a thing's scores stand: the table, the column, and what must hold of a row.

    Of a class, each of the three places among the labels, and each model's best ones, as indexes have them.
    """
    by: Any = unindexed if is_few else lambda column: column
    if thing.is_kind:
        same = (
            outcomes.c.image_id == unindexed(image_things.c.image_id),
            outcomes.c.model_id == unindexed(image_things.c.model_id),
        )
        yield image_things, image_things.c.score, [by(image_things.c.thing) == thing.key, *same]
        return
    model_ids = known.model_ids if filters.model_id is None else (filters.model_id,)
    for model_id in model_ids:
        best = [by(outcomes.c.label_1) == thing.key, by(outcomes.c.model_id) == model_id]
        yield outcomes, outcomes.c.score_1, best
    for rank in (2, 3):
        yield outcomes, outcomes.c[f"score_{rank}"], [by(outcomes.c[f"label_{rank}"]) == thing.key]
