"""A clock that jumps while a run goes on: every command still ends well, and no figure is one that cannot be."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.command import Nightlabel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from common.settings import Settings

#: What becomes of the times of the second half of a run's chunks, and of all that is stored besides.
JUMPS = {
    "back by three hours": "-3 hours",
    "forward by three hours": "+3 hours",
    "forward by ten years": "+10 years",
    "back to 1970": "-50 years",
}
#: Columns that hold a time, by their table.
TIMES = {
    "chunks": ("published_at", "started_at", "done_at"),
    "outcomes": ("labelled_at",),
    "runs": ("created_at", "scanned_at", "finished_at", "followed_at"),
    "workers": ("started_at", "seen_at"),
    "samples": ("sampled_at",),
}
COMMANDS = (("report",), ("report", "--json"), ("status",))


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, settings: Settings, photos: Path) -> Iterator[Nightlabel]:
    """A folder with a database of a short run, of several chunks."""
    folder = tmp_path_factory.mktemp("clocks")
    (folder / "archive").mkdir()
    for photo in sorted(photos.glob("*.jpg"))[:60]:
        shutil.copyfile(photo, folder / "archive" / photo.name)
    with Nightlabel(folder, settings) as command:
        done = command("run", "archive", NIGHTLABEL_CHUNK_SIZE="6")
        assert done.returncode == 0, done.stderr
        yield command


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"pragma table_info({table})")}


def jumped(night: Nightlabel, change: str, where: dict[str, str]) -> str:
    """Return a copy of the database whose clock jumped in mid-run: the times of these rows are others."""
    copy = night.folder / "jumped.db"
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(night.database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        for table, condition in where.items():
            for column in set(TIMES[table]) & _columns(target, table):
                # As SQLAlchemy writes it, with a point and microseconds.
                target.execute(
                    f"update {table} set {column} = strftime('%Y-%m-%d %H:%M:%f', {column}, ?) || '000'"
                    f" where {column} is not null and {condition}",
                    (change,),
                )
        target.commit()
    return str(copy)


def negative(value: Any, name: str = "") -> Iterator[str]:
    """Yield the figures below zero, but for those that say how something changed."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from negative(inner, f"{name}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from negative(inner, name)
    elif isinstance(value, int | float) and value < 0 and not any(word in name for word in CHANGES):
        yield f"{name} = {value}"


#: Figures that may well be negative.
CHANGES = ("slope", "drift", "per_hour", "low", "high", "change")
#: Which rows have another time.
PARTS: dict[str, dict[str, str]] = {
    "the second half": {"chunks": "id > 5", "outcomes": "chunk_id > 5", "samples": "rowid % 2", "workers": "1"},
    "the run itself": {"runs": "1"},
    "the workers": {"workers": "1", "samples": "1"},
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("jump", JUMPS)
def test_no_figure_is_one_that_cannot_be_though_the_clock_jumped(night: Nightlabel, jump: str, part: str) -> None:
    database = jumped(night, JUMPS[jump], PARTS[part])
    for command in COMMANDS:
        done = night(*command, "--db", database)

        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        if "--json" in command:
            assert list(negative(json.loads(done.stdout))) == []


@pytest.mark.parametrize("jump", JUMPS)
def test_a_chunk_that_was_done_before_it_began_spoils_no_report(night: Nightlabel, jump: str) -> None:
    database = jumped(night, JUMPS[jump], {})
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            f"update chunks set done_at = strftime('%Y-%m-%d %H:%M:%f', started_at, '{JUMPS[jump]}') || '000'"
        )
        connection.commit()
    for command in (*COMMANDS, ("report", "--html", "night.html")):
        done = night(*command, "--db", database)

        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        if "--json" in command:
            assert list(negative(json.loads(done.stdout))) == []


@pytest.mark.parametrize("year", [-11644473600, 0, 4102444800, 13_000_000_000])
def test_files_from_the_past_and_the_future_are_labelled_once(nightlabel: Nightlabel, archive: Any, year: int) -> None:
    folder = archive(2)
    for photo in folder.rglob("*.jpg"):
        os.utime(photo, (year, year))
    first, second = nightlabel("run", folder), nightlabel("run", folder)

    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert "2 more had their labels already" in second.stdout
