"""The gallery of a million images: its pages, counts, and one image's page."""

from __future__ import annotations

import random
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import web_requests
from benchmarks.page import Section
from benchmarks.planted import planted_night
from common.errors import QueryTimeoutError
from storage.gallery.facets import facets
from storage.gallery.filters import Cursor, Filters, Sort
from storage.gallery.paging import default_sort, neighbours, page
from storage.gallery.picture import read_picture
from storage.gallery.suggestions import suggestions
from storage.things import things_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.database import Database

#: Times that each of the main requests is made, and each filter in each order.
REQUESTS, EACH = 200, 5
#: Pages of the scroll that a deep one is behind.
_DEEP = 500
_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


class Request(NamedTuple):
    """Something that a page asks of the database, with another image or word each time."""

    name: str
    ask: Callable[[int], object]


def measure(rows: int, database_url: str | None) -> Section:
    """Plant a night of so many images, and ask for what the gallery shows of it.

    Raises:
        SystemExit: the database is not empty.

    """
    with tempfile.TemporaryDirectory(prefix="nightlabel-gallery-") as folder:
        with planted_night(rows, database_url, folder) as (database, url):
            of_tables = ask(database, rows)
        lines, by_http = web_requests.measure(url, rows)
    return Section([*lines, "", *of_tables.lines], {"by_http": by_http, **of_tables.figures})


def ask(database: Database, rows: int) -> Section:
    """Make all requests of a planted database."""
    main = {request.name: _times(request, REQUESTS) for request in requests(database, rows)}
    each = {request.name: _times(request, EACH) for request in combinations(database)}
    worst = dict(sorted(each.items(), key=lambda one: -one[1][1])[:10])
    lines = [f"Of these, what the tables of {rows:,} images take, in milliseconds; {REQUESTS} times each:", ""]
    lines += ["| what | p50 | p95 |", "|---|---|---|", *_lines(main)]
    lines += ["", f"Of {len(each)} filters in each order, a first page, {EACH} times; the ten slowest:", ""]
    lines += ["| filter, order | p50 | slowest |", "|---|---|---|", *_lines(worst)]
    return Section(lines, {"rows": rows, "requests": main, "combinations": each})


def requests(database: Database, rows: int) -> list[Request]:
    """Return what is asked for most."""
    draw = random.Random(1)  # noqa: S311 - nobody is to be kept out
    ids = [draw.randint(1, rows) for _ in range(REQUESTS)]
    searches = {words: Filters(things=things_in(database, words), min_score=0.5) for words in ("dog", "lion", "tabby")}
    deep: Cursor | None = None
    for _ in range(_DEEP):
        deep = page(database, Filters(), Sort.LABELLED, deep).next
    typed = ("d", "do", "dog", "Hu", "Hund", "狗", "re", "ret", "ca", "cat")
    return [
        Request("first page", lambda _: page(database, Filters(), Sort.LABELLED)),
        *(Request(f"search for {words}", partial(_search, database, filters)) for words, filters in searches.items()),
        Request(f"page {_DEEP + 1} of the scroll", lambda _: page(database, Filters(), Sort.LABELLED, deep)),
        Request("counts beside the filters", lambda _: facets(database, Filters())),
        Request("counts beside the filters, of lions", lambda _: facets(database, searches["lion"])),
        Request("counts beside the filters, of dogs", lambda _: facets(database, searches["dog"])),
        Request("an image's page", lambda number: read_picture(database, ids[number])),
        Request("its neighbours", lambda number: neighbours(database, Filters(), Sort.LABELLED, ids[number])),
        Request("names as one types", lambda number: suggestions(database, typed[number % len(typed)])),
    ]


def combinations(database: Database) -> Iterator[Request]:
    """Yield a first page of each filter in each order."""
    things = things_in(database, "animal")
    filters = {
        "nothing": Filters(),
        "animal": Filters(things=things),
        "lion": Filters(things=things_in(database, "lion")),
        "golden retriever": Filters(things=things_in(database, "golden retriever")),
        "crane, of two kinds": Filters(things=things_in(database, "crane")),
        "called dog": Filters(kind="dog"),
        "score": Filters(min_score=0.9),
        "folder of 10,000": Filters(folder="/volume1/photos/2005/0"),
        "folder of 50,000": Filters(folder="/volume1/photos/2005"),
        "empty folder": Filters(folder="/volume1/elsewhere"),
        "newest year": Filters(modified_from=_YEAR),
        "oldest year": Filters(modified_until=_YEAR.replace(year=2006)),
        "first hour": Filters(labelled_until=datetime(2026, 11, 22, 23, tzinfo=UTC)),
        "model": Filters(model_id=1),
        "run": Filters(run_id=1),
        "ok": Filters(status="ok"),
        "failed": Filters(status="failed"),
        "truncated": Filters(error_kind="truncated"),
        "warning": Filters(has_warning=True),
        "corrected": Filters(corrected=True),
        "portrait": Filters(orientation="portrait"),
        "square, of which there is none": Filters(orientation="square"),
        "animals in a folder": Filters(things=things, folder="/volume1/photos/2005"),
        "square animals, of which there is none": Filters(things=things, orientation="square"),
    }
    for name, one in filters.items():
        for sort in Sort:
            if one.things or sort is not Sort.SCORE:
                yield Request(f"{name}, {sort}", partial(_first, database, one, sort))


def _search(database: Database, filters: Filters, number: int) -> None:
    """Ask for another page each time, of those with the highest scores."""
    page(database, replace(filters, min_score=0.5 + number % 20 / 100), default_sort(filters))


def _first(database: Database, filters: Filters, sort: Sort, _: int) -> None:
    page(database, filters, sort)


def _times(request: Request, count: int) -> tuple[float, float]:
    """Return the median and the 95th percentile of the milliseconds that a request takes; of few, the longest."""
    with suppress(QueryTimeoutError):
        request.ask(0)  # a process asks more than once
    taken = []
    for number in range(count):
        begun = time.perf_counter()
        with suppress(QueryTimeoutError):  # which says so after `paging.TIME_LIMIT_S`
            request.ask(number)
        taken.append((time.perf_counter() - begun) * 1000)
    taken.sort()
    return taken[len(taken) // 2], taken[int(len(taken) * 0.95)]


def _lines(times: dict[str, tuple[float, float]]) -> list[str]:
    return [f"| {name} | {middle:,.1f} | {slow:,.1f} |" for name, (middle, slow) in times.items()]
