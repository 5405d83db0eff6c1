"""Counts of what filters leave, by the values that images have."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, not_, select

from storage.gallery.conditions import (
    conditions,
    has_words,
    needs_images,
    orientation,
    unindexed,
)
from storage.gallery.narrowing import counted_by_index, few_images
from storage.gallery.rows import standing_words, what_stands
from storage.records import shown
from storage.tables import images, outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection, Select

    from storage.gallery.conditions import Circumstances
    from storage.gallery.filters import Filters

#: So many paths or times are read and counted here, in about 0.1 s: what they fall into, the database does not know.
_MOST_ROWS = 50_000
_DIMENSIONS = ("kind", "model", "run", "status", "error_kind", "warning", "orientation")


class Cube(NamedTuple):
    """Counts by all values that few images differ in, together."""

    cells: Counter[tuple[Any, ...]]  #: by `_DIMENSIONS` and whether a person said something that stands

    def by(self, name: str) -> Counter[Any]:
        place = (*_DIMENSIONS, "corrected").index(name)
        found: Counter[Any] = Counter()
        for cell, count in self.cells.items():
            found[cell[place]] += count
        return found


class Spread(NamedTuple):
    """Images' paths, mtimes in nanoseconds, and when they were labelled."""

    rows: list[tuple[str, int, datetime]]

    def modified(self) -> Counter[str]:
        """Count by the year of the file's mtime, by the clock of this host."""
        return Counter(f"{instant_of(mtime_ns).astimezone().year:04}" for _, mtime_ns, _ in self.rows)

    def labelled(self) -> Counter[str]:
        """Count by the day on which an image was labelled, by the clock of this host."""
        found: Counter[str] = Counter()
        for at, count in Counter(at for _, _, at in self.rows).items():  # a chunk's images have one time
            found[f"{at.astimezone():%Y-%m-%d}"] += count
        return found

    def folders(self, folder: str | None) -> Counter[str]:
        """Count by the folders that lie in one; None: in the deepest that holds all of the images."""
        paths = [path for path, _, _ in self.rows]
        top = common_folder(paths) if folder is None else shown(folder)
        return Counter(child for path in paths if (child := child_of(path, top)))


def total(connection: Connection, known: Circumstances, filters: Filters) -> int | None:
    """Count the images that the filters leave, if an index has just these; else a cube does it."""
    groups = counted_by_index(filters, known)
    return None if groups is None else sum(connection.execute(group.counted()).scalar_one() for group in groups)


def cube(connection: Connection, known: Circumstances, filters: Filters) -> Cube:
    """Count the images that the filters leave by what they have, in one pass."""
    values = (
        *(unindexed(outcomes.c[name]) for name in ("kind", "model_id", "run_id", "status", "error_kind")),
        outcomes.c.warning.is_not(None),
        orientation(),
    )
    query = _select(connection, known, filters, *values, func.count()).group_by(*values)
    if known.has_corrections:
        query = query.where(not_(has_words()))
    cells: Counter[tuple[Any, ...]] = Counter()
    for *cell, count in connection.execute(query):
        cells[*cell[:5], bool(cell[5]), cell[6], False] = count
    if known.has_corrections:
        _add_corrected(connection, cells, _select(connection, known, filters, *values).where(has_words()), known)
    return Cube(cells)


def cube_of_each_model(connection: Connection, known: Circumstances, filters: Filters) -> Cube:
    """Do the same for each model: an image counts for each one that labelled it, not only for the newest."""
    return cube(connection, known._replace(model_ids=()), filters)


def _add_corrected(
    connection: Connection, cells: Counter[tuple[Any, ...]], query: Select[Any], known: Circumstances
) -> None:
    """Count the few images of which people spoke: their kinds are what is left of the model's."""
    rows = connection.execute(query.add_columns(outcomes.c.label_1, outcomes.c.content)).all()
    words = standing_words(connection, {row[-1] for row in rows}, known)
    for kind, *cell, warning, lies, label, content in rows:
        _, stands, _ = what_stands(label, kind, words[content])
        cells[stands, *cell, bool(warning), lies, True] += 1


def spread(connection: Connection, known: Circumstances, filters: Filters) -> Spread | None:
    """Read where the images lie that the filters leave, and their times; None: they are too many."""
    columns = images.c.path, images.c.mtime_ns, outcomes.c.labelled_at
    query = _select(connection, known, filters, *columns, with_images=True).limit(_MOST_ROWS + 1)
    rows = connection.execute(query).all()
    return Spread([tuple(row) for row in rows]) if len(rows) <= _MOST_ROWS else None


def instant_of(mtime_ns: int) -> datetime:
    """Return the time of a file, to the microsecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=mtime_ns // 1_000)


def child_of(path: str, folder: str) -> str | None:
    """Return the folder right below one in which a path lies; None: it lies in that one itself, or elsewhere."""
    start = folder.rstrip("/") + "/"
    name, slash, _ = path[len(start) :].partition("/")
    return start + name if slash and path.startswith(start) else None


def common_folder(paths: Iterable[str]) -> str:
    """Return the deepest folder in which all of these lie."""
    some = list(paths)
    first, last = min(some, default="/"), max(some, default="/")
    length = next((place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first[:length].rpartition("/")[0] or "/"


def _select(
    connection: Connection,
    known: Circumstances,
    filters: Filters,
    *columns: ColumnElement[Any],
    with_images: bool = False,
) -> Select[Any]:
    """Select something of what the filters leave."""
    query = select(*columns).select_from(outcomes).where(*conditions(filters, known))
    few = few_images(connection, filters, known)
    if few is not None:
        query = query.where(outcomes.c.image_id.in_(few))
    if with_images or needs_images(filters):
        query = query.where(images.c.id == unindexed(outcomes.c.image_id))
    return query
