"""Counts beside the values of each filter: whole, or not known; never as far as a count got in its time.

What a facet counts is what the gallery would show with that value in place of the filter's own.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select

from common.errors import QueryTimeoutError
from storage.correction_tables import corrections
from storage.gallery import counts
from storage.gallery.conditions import circumstances
from storage.gallery.counts_of_all import BY_NAME, CountsOfAll
from storage.gallery.filters import Filters
from storage.gallery.paging import prefer_short
from storage.tables import chunks, outcomes

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Connection

    from storage.database import Database
    from storage.gallery.conditions import Circumstances

#: How long one count may take, and all of them together.
EACH_S, ALL_S = 0.1, 0.12
#: Values of a facet that are counted: more are of no use beside a gallery.
MOST_VALUES = 30


class Value(NamedTuple):
    """A value of a filter."""

    value: Any  #: as the filter takes it; of dates, the day, month or year as `2026-11-24`, `2026-11` or `2026`
    images: int


@dataclass(frozen=True, kw_only=True)
class Facets:
    """What each filter would leave. None: it was not counted in time."""

    total: int | None  #: images that all filters leave
    values: Mapping[str, tuple[Value, ...] | None]  #: by the facet's name

    @property
    def is_complete(self) -> bool:
        return self.total is not None and None not in self.values.values()


#: The filters that a facet replaces.
_OWN: dict[str, dict[str, Any]] = {
    "kind": {"kind": None},
    "model": {"model_id": None},
    "run": {"run_id": None},
    "status": {"status": None},
    "error_kind": {"error_kind": None},
    "warning": {"has_warning": None},
    "corrected": {"corrected": None},
    "orientation": {"orientation": None},
    "folder": {},  # those below the one that is filtered
    "modified": {"modified_from": None, "modified_until": None},
    "labelled": {"labelled_from": None, "labelled_until": None},
}
FACETS = tuple(_OWN)


def facets(
    database: Database, filters: Filters, each_s: float = EACH_S, all_s: float = ALL_S, names: Iterable[str] = FACETS
) -> Facets:
    """Count what each value of each filter would leave.

    Args:
        database: where.
        filters: what is shown now.
        each_s: seconds that one query may take.
        all_s: seconds after which no further one is begun.
        names: of `FACETS`.

    """
    deadline = time.monotonic() + all_s
    counted = _Counted(database, filters, each_s, deadline)
    total = counted.total()
    return Facets(total=total, values={name: counted.values(name) for name in names})


def stamp(database: Database) -> tuple[object, ...]:
    """Return what changes with all that is counted: outcomes, words of people, images, and kinds that are filled in."""
    lacks_kind = outcomes.c.kind.is_(None) & outcomes.c.label_1.is_not(None)
    parts = (
        select(func.max(outcomes.c.labelled_at)),
        select(func.max(corrections.c.id)),
        select(func.max(chunks.c.id)),
        select(outcomes.c.image_id).where(lacks_kind).order_by(outcomes.c.model_id, outcomes.c.image_id).limit(1),
    )
    with database.read() as connection:
        return tuple(connection.execute(part).scalar() for part in parts)


class _Counted:
    """Counts under way: those that several facets share are made once."""

    def __init__(self, database: Database, filters: Filters, each_s: float, deadline: float) -> None:
        self._database = database
        self._filters = filters
        self._each_s = each_s
        self._deadline = deadline
        self._shared: dict[tuple[object, ...], Any] = {}
        with database.read() as connection:
            self._known = circumstances(connection)

    def total(self) -> int | None:
        counted: int | None = self._once(counts.total, self._filters)
        if counted is not None:
            return counted
        cube = self._cube(self._filters)
        return None if cube is None else sum(cube.cells.values())

    def values(self, name: str) -> tuple[Value, ...] | None:
        """Return what a facet counts: from an index of the whole archive, or with others in one pass."""
        rest = replace(self._filters, **_OWN[name])
        others = replace(rest, folder=None) if name == "folder" else rest
        found: Counter[Any] | None = None
        if name in BY_NAME and others.is_everything and len(self._known.model_ids) <= 1:
            found = self._once(_of_all, name, rest.folder, self._once(counts.total, Filters()))
        if found is None and name in _SPREAD:
            # Where one pass over these images took too long, another one will.
            is_known = self._cube(rest) is not None
            spread: counts.Spread | None = self._once(counts.spread, rest) if is_known else None
            found = spread and _SPREAD[name](spread, rest)
        elif found is None:
            cube = self._cube(rest, of_each_model=name in ("model", "run"))
            found = cube and cube.by(name)
        return None if found is None else _sorted(name, found)

    def _cube(self, filters: Filters, *, of_each_model: bool = False) -> counts.Cube | None:
        several = of_each_model and len(self._known.model_ids) > 1
        count = counts.cube_of_each_model if several else counts.cube
        cube: counts.Cube | None = self._once(count, filters)
        return cube

    def _once(self, count: Callable[..., Any], *given: Any) -> Any:  # noqa: ANN401 - what it counts, and of what
        """Count something, if there is time left; None: there is not, or it took too long."""
        key = count, *given
        if key not in self._shared:
            self._shared[key] = None
            left = min(self._each_s, self._deadline - time.monotonic())
            if left > 0:
                with (
                    suppress(QueryTimeoutError),
                    self._database.read(time_limit_s=left) as connection,
                ):
                    prefer_short(connection)
                    self._shared[key] = count(connection, self._known, *given)
        return self._shared[key]


#: What is told apart here, and not by the database.
_SPREAD: Mapping[str, Callable[[counts.Spread, Filters], Counter[str]]] = {
    "modified": lambda spread, _: spread.modified(),
    "labelled": lambda spread, _: spread.labelled(),
    "folder": lambda spread, filters: spread.folders(filters.folder),
}


def _of_all(
    connection: Connection, known: Circumstances, name: str, folder: str | None, images: int | None
) -> Counter[Any] | None:
    return None if images is None else BY_NAME[name](CountsOfAll(connection, known, folder, images))


def _sorted(name: str, found: Counter[Any]) -> tuple[Value, ...]:
    """Return the values that are there: days and years with the newest first, folders by name, all else by count."""
    there = [Value(value, images) for value, images in found.items() if images and value is not None]
    if name in ("modified", "labelled", "run"):
        there.sort(reverse=True)
    elif name == "folder":
        there.sort()
    else:
        there.sort(key=lambda one: (-one.images, str(one.value)))
    return tuple(there[:MOST_VALUES])
