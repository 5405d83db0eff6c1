"""Pages of the gallery, from a place in its order on: what comes before them is never read again, however far."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from common.errors import QueryTimeoutError, UsageError
from storage.gallery.conditions import circumstances
from storage.gallery.filters import Sort
from storage.gallery.order import keys_of
from storage.gallery.rows import GalleryImage, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from storage.database import Database
    from storage.gallery.filters import Cursor, Filters

#: Images of a page, where nobody says how many.
PAGE_IMAGES = 60
#: Of a selection that is read as a whole.
_BULK_IMAGES = 2_000
#: How long a page may take. Some filters are answered by no index, and an archive may be large.
TIME_LIMIT_S = 5.0


class Page(NamedTuple):
    """Some images in a row."""

    images: list[GalleryImage]
    next: Cursor | None  #: None: these are the last ones
    previous: Cursor | None  #: None: these are the first ones


class Neighbours(NamedTuple):
    """The images on both sides of one."""

    previous: int | None  #: by its id; None: it is the first one
    next: int | None


def default_sort(filters: Filters) -> Sort:
    """Return the order in which images come when nobody says which."""
    return Sort.SCORE if filters.things else Sort.LABELLED


def page(
    database: Database, filters: Filters, sort: Sort, cursor: Cursor | None = None, limit: int = PAGE_IMAGES
) -> Page:
    """Return the images from a place in the gallery on.

    Args:
        database: where.
        filters: which images.
        sort: in which order.
        cursor: where, as a page of this order had it; None: at the first image.
        limit: how many images at most.

    Raises:
        UsageError: the cursor is of another order, or an image that it names is not there; or it is to be sorted by
            scores, and nothing is looked for.
        QueryTimeoutError: it took too long; with what to do.

    """
    _raise_if_senseless(filters, sort, cursor)
    with _reading(database) as connection:
        known = circumstances(connection)
        keys = keys_of(connection, filters, known, sort, cursor, limit + 1)
        further, keys = len(keys) > limit, keys[:limit]
        if cursor is not None and cursor.is_backward:
            keys.reverse()
        found = read_rows(connection, [(key.image_id, key.model_id) for key in keys], filters, known)
    if not keys:
        back = None if cursor is None else cursor._replace(is_backward=not cursor.is_backward)
        return Page([], *((back, None) if cursor and cursor.is_backward else (None, back)))
    first, last = keys[0].cursor(sort)._replace(is_backward=True), keys[-1].cursor(sort)
    if cursor is not None and cursor.is_backward:
        return Page(found, last, first if further else None)
    return Page(found, last if further else None, first if cursor else None)


def neighbours(database: Database, filters: Filters, sort: Sort, image_id: int) -> Neighbours:
    """Return the images before and after one that the filters leave, in the gallery's order.

    Raises:
        UsageError: it is not among what the filters leave; or as `page` does.
        QueryTimeoutError: it took too long.

    """
    _raise_if_senseless(filters, sort, None)
    with _reading(database) as connection:
        known = circumstances(connection)
        own = keys_of(connection, filters, known, sort, None, 1, image_id)
        if not own:
            raise UsageError("This image is not among those that the filters leave.")
        sides = [own[0].cursor(sort)._replace(is_backward=is_backward) for is_backward in (True, False)]
        found = [keys_of(connection, filters, known, sort, side, 1) for side in sides]
    return Neighbours(*(keys[0].image_id if keys else None for keys in found))


def selection(database: Database, filters: Filters, sort: Sort) -> Iterator[list[GalleryImage]]:
    """Yield all that the filters leave, in the gallery's order, page by page.

    Each page is a transaction of its own: whoever downloads them may be slow. What is labelled meanwhile is met where
    it belongs in the order, if that is still ahead.

    Raises:
        UsageError, QueryTimeoutError: as `page` does.

    """
    cursor: Cursor | None = None
    while True:
        some = page(database, filters, sort, cursor, _BULK_IMAGES)
        if some.images:
            yield some.images
        if some.next is None:
            return
        cursor = some.next


@contextmanager
def _reading(database: Database) -> Iterator[Connection]:
    try:
        with database.read(time_limit_s=TIME_LIMIT_S) as connection:
            prefer_short(connection)
            yield connection
    except QueryTimeoutError:
        raise QueryTimeoutError(
            f"The gallery could not be read within {TIME_LIMIT_S:g} s: few images or none have all that was asked for,"
            " and most of the archive was looked through. Narrow it down: a folder, a day, a run, or what to look for."
        ) from None


def prefer_short(connection: Connection) -> None:
    """Have Postgres compile no query: it expects some of these to take long, and compiling takes longer than they."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL jit = off")


def _raise_if_senseless(filters: Filters, sort: Sort, cursor: Cursor | None) -> None:
    if sort is Sort.SCORE and not filters.things:
        raise UsageError("By score, only what is looked for can be sorted: name a thing, or choose another order.")
    if cursor is not None and cursor.sort is not sort:
        raise UsageError(f"This page of the gallery is of another order: it is sorted by {cursor.sort}, not by {sort}.")
