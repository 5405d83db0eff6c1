"""What the address of a gallery says: which images, in which order, from where on. And such addresses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlencode

from common.errors import UsageError
from storage.gallery.filters import Cursor, Filters, Orientation, Sort, Status
from storage.gallery.paging import default_sort
from storage.things import things_in
from vocabulary.languages import translatable
from web.values import folder_path, given_values, one_of, parsed, row_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.database import Database
    from vocabulary.names import Thing

#: The names in an address that say which images; each may be missing or empty.
NAMES = (
    *("q", "min", "kind", "folder", "from", "until", "day", "model", "run", "status", "error", "warning", "corrected"),
    "orientation",
)
_ANSWERS = {"yes": True, "no": False}


@dataclass(frozen=True)
class Query:
    """A gallery's query, as it is written."""

    given: Mapping[str, str]  #: by the names of `NAMES` and `sort`; nothing is empty
    filters: Filters
    sort: Sort
    unknown: str | None = None  #: why nothing can be called so as was looked for

    def value(self, name: str) -> str:
        """Return what is given by a name; nothing, where nothing is."""
        return self.given.get(name, "")

    def address(self, path: str = "/gallery", **changed: object) -> str:
        """Return the address of another gallery: with other values, or, where one is None, without it."""
        values = {**self.given, **changed}
        query = urlencode({name: _text(value) for name, value in values.items() if value is not None})
        return f"{path}?{query}" if query else path


def read_query(database: Database, given: Mapping[str, str]) -> Query:
    """Return the query of an address.

    Raises:
        UsageError: a value makes no sense.

    """
    values = given_values(given, (*NAMES, "sort"))
    things: tuple[Thing, ...] = ()
    unknown = None
    if "q" in values:
        try:
            things = things_in(database, values["q"])
        except UsageError as error:
            unknown = str(error)
    day = _day(values, "day")
    filters = Filters(
        things=things,
        min_score=parsed(values, "min", _share),
        kind=values.get("kind"),
        folder=parsed(values, "folder", folder_path),
        modified_from=_day(values, "from"),
        modified_until=_after(_day(values, "until")),
        labelled_from=day,
        labelled_until=_after(day),
        model_id=parsed(values, "model", row_id),
        run_id=parsed(values, "run", row_id),
        status=one_of(values, "status", get_args(Status)),
        error_kind=values.get("error"),
        has_warning=parsed(values, "warning", _ANSWERS.__getitem__),
        corrected=parsed(values, "corrected", _ANSWERS.__getitem__),
        orientation=one_of(values, "orientation", get_args(Orientation)),
    )
    sort = parsed(values, "sort", Sort) or default_sort(filters)
    if sort is Sort.SCORE and not filters.things:  # as it stands in the form of a search that was cleared
        values.pop("sort", None)
        sort = default_sort(filters)
    return Query(values, filters, sort, unknown)


def read_cursor(given: Mapping[str, str]) -> Cursor | None:
    """Return from where on an address shows images.

    Raises:
        UsageError: it was cut or changed.

    """
    return Cursor.parse(given["after"]) if given.get("after") else None


def dates_of(value: str) -> dict[str, str]:
    """Return what chooses a year of file dates."""
    return {"from": f"{value}-01-01", "until": f"{value}-12-31"}


#: What each order is called.
SORTS = {
    Sort.LABELLED: translatable("Newest labels first"),
    Sort.SCORE: translatable("Best score first"),
    Sort.NEWEST: translatable("Newest files first"),
    Sort.OLDEST: translatable("Oldest files first"),
    Sort.PATH: translatable("By path"),
}


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _share(value: str) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError(value)
    return share


def _day(values: Mapping[str, str], name: str) -> datetime | None:
    """Return when a day begins, by the clock of this host."""
    day: datetime | None = parsed(values, name, _midnight)
    return day


def _midnight(value: str) -> datetime:
    return datetime.strptime(value, "%Y-%m-%d").astimezone()


def _after(day: datetime | None) -> datetime | None:
    """Return when a day ends: most have 24 hours."""
    if day is None:
        return None
    try:
        return (day.replace(tzinfo=None) + timedelta(days=1)).astimezone()
    except OverflowError:
        return None
