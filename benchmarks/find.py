"""Looking for things among a million images: `find`, and the view `things`."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.measured import middle, middle_ms, run_command
from benchmarks.page import Section
from benchmarks.planted import planted_night
from storage.things import find_images, things_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.database import Database

#: Times that each is asked; the middle one counts.
ROUNDS = 7
LIMIT = 50
#: One folder in a hundred, and one year in twenty.
_FOLDER, _SINCE = "/volume1/photos/2005/0", datetime(2024, 1, 1, tzinfo=UTC)
#: What is looked for, and how.
_FINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "`find dog`": ("dog", {"min_score": 0.5}),
    "`find animal`": ("animal", {"min_score": 0.5}),
    "`find 'golden retriever'`, a class": ("golden retriever", {"min_score": 0.1}),
    "`find lion`": ("lion", {"min_score": 0.5}),
    "`find dog --folder`, one in 100": ("dog", {"min_score": 0.5, "folder": _FOLDER}),
    "`find dog --folder`, where nothing is": ("dog", {"min_score": 0.5, "folder": "/volume1/elsewhere"}),
    "`find animal --folder`, where nothing is": ("animal", {"min_score": 0.5, "folder": "/volume1/elsewhere"}),
    "`find dog --since`": ("dog", {"min_score": 0.5, "since": _SINCE}),
}
_QUERIES = {
    "the dogs with the highest scores": (
        "select path, score from things where thing = 'dog' and score >= 0.5 order by score desc limit 50"
    ),
    "number of dogs": "select count(*) from things where thing = 'dog' and score >= 0.5",
    "number of animals": "select count(*) from things where thing = 'animal' and score >= 0.5",
}


def measure(rows: int, database_url: str | None) -> Section:
    """Plant a night of so many images, and look for things in it.

    Raises:
        SystemExit: the database is not empty.

    """
    with tempfile.TemporaryDirectory(prefix="nightlabel-find-") as folder:
        with planted_night(rows, database_url, folder) as (database, url):
            asked = _ask(database)
        command_s, _ = middle(run_command(url, ("find", "dog", "--limit", str(LIMIT))) for _ in range(ROUNDS))
    lines = [f"{rows:,} images; the first {LIMIT} of each, with a score of at least 0.5, of the class 0.1.", ""]
    lines += ["| what | found | ms |", "|---|---|---|"]
    lines += [f"| {name} | {found:,} | {ms:,.1f} |" for name, (found, ms) in asked.items()]
    lines += ["", f"The command `nightlabel find dog --limit {LIMIT}` as a whole takes {command_s:.2f} s."]
    return Section(lines, {"rows": rows, "command_s": command_s, "asked": asked})


def _ask(database: Database) -> dict[str, tuple[int, float]]:
    """Return, of each query, how many images it found, and the milliseconds that it took."""
    asked = {}
    for name, (words, given) in _FINDS.items():
        things = things_in(database, words)
        asked[name] = _timed(partial(_count, database, things, given))
    for name, query in _QUERIES.items():
        asked[name] = _timed(partial(_rows, database, query))
    return asked


def _count(database: Database, things: Any, given: dict[str, Any]) -> int:
    return sum(1 for _ in find_images(database, things, limit=LIMIT, **given))


def _rows(database: Database, query: str) -> int:
    with database.read() as connection:
        rows = connection.exec_driver_sql(query).all()
    return int(rows[0][0]) if len(rows) == 1 else len(rows)


def _timed(ask: Callable[[], int]) -> tuple[int, float]:
    return ask(), middle_ms(ask, ROUNDS)
