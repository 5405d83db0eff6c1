"""`results`, page by page, for other programs: everything once, nothing changed, and no condition that does harm."""

from __future__ import annotations

import gc
import sqlite3
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

import storage.export
from common.errors import DatabaseBusyError, DatabaseError, UsageError
from common.settings import load_settings
from storage.database import Database
from storage.export import COLUMNS, result_pages
from storage.schema_version import ensure_schema
from tests.unit.storage.nights import add, ask, begin_run, label_all, number, photos

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def night(database: Database) -> Database:
    """A database with ten images, one of which failed."""
    run = begin_run(database)
    add(database, run, photos(10), chunk_size=4)
    label_all(database, run, failing={"/photos/00003.jpg"})
    return database


def paths(database: Database, where: str | None = None) -> list[str]:
    return sorted(row[0] for page in result_pages(database, where) for row in page)


def test_every_row_comes_once(night: Database) -> None:
    assert paths(night) == [f"/photos/{image:05}.jpg" for image in range(10)]


def test_the_columns_are_those_of_the_view(night: Database) -> None:
    with night.read() as connection:
        view = set(connection.exec_driver_sql("select * from results").keys())
    assert set(COLUMNS) == view


def test_values_have_the_columns_types(night: Database) -> None:
    pages = [list(page) for page in result_pages(night)]
    assert sum(map(len, pages)) == number(night, "select count(*) from results") > 0
    for page in pages:
        for row in page:
            for value, (name, kind) in zip(row, COLUMNS.items(), strict=True):
                assert value is None or isinstance(value, kind), name


def test_instants_carry_their_zone(night: Database) -> None:
    place = list(COLUMNS).index("labelled_at")
    (page,) = result_pages(night)
    assert all(isinstance(row[place], datetime) and row[place].utcoffset() is not None for row in page)


def test_a_page_is_bounded(night: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.export, "PAGE_ROWS", 4)
    assert sorted(len(page) for page in result_pages(night)) == [2, 4, 4]


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("status = 'failed'", 1),
        ("status = 'ok' or status = 'failed'", 10),
        ("path like '%/00003.jpg'", 1),
        ("path <> ':name' -- a comment", 10),
        ("error = '100 %s' or 1 = 1", 10),
    ],
)
def test_a_condition_chooses_rows(night: Database, where: str, count: int) -> None:
    assert len(paths(night, where)) == count


@pytest.mark.parametrize(
    "where",
    [
        "lable_1 = 'tabby'",
        "status =",
        "1 = 1)",
        "1 = 1; select 1",
        "?",
        "path = 'x' collate nowhere",
        "abs(cast('-9223372036854775808' as bigint)) = 1",
        "generate_series(1, 2) = 1",
        "status = '\udce9'",
    ],
)
def test_a_condition_that_makes_no_sense_is_refused_with_the_columns(night: Database, where: str) -> None:
    with pytest.raises(UsageError, match=r"^The condition .* cannot be used: .* The columns are: path, model, "):
        paths(night, where)


@pytest.mark.parametrize(
    "where",
    [
        "1 = 1); delete from outcomes; --",
        "1 = 1) and 1 = 1; commit; drop view labels; --",
        "1=1);\n\ncommit;--",
        "nextval('runs_id_seq') > 0",
    ],
)
def test_a_condition_changes_nothing(night: Database, where: str) -> None:
    with pytest.raises(UsageError):
        paths(night, where)
    assert number(night, "select count(*) from outcomes") == 10
    assert len(ask(night, "select * from labels")) > 0


def test_the_database_can_be_written_to_afterwards(night: Database) -> None:
    paths(night)
    run = begin_run(night, root="/other")
    add(night, run, photos(2, first=100))
    label_all(night, run)
    assert number(night, "select count(*) from outcomes") == 12


def test_pages_need_not_be_read_to_the_end(night: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.export, "PAGE_ROWS", 4)
    pages = result_pages(night)
    assert len(next(pages)) == 4
    pages.close()

    run = begin_run(night, root="/other")
    add(night, run, photos(2, first=100))
    assert len(paths(night)) == 10


def test_a_damaged_file_is_no_fault_of_the_condition(tmp_path: Path) -> None:
    file = tmp_path / "night.db"
    database = Database(f"sqlite:///{file}")
    ensure_schema(database)
    run = begin_run(database)
    add(database, run, photos(10))
    label_all(database, run)
    database.close()
    damage(file, "outcomes")

    with pytest.raises(DatabaseError, match=f"The database {file}: .* is malformed"):
        paths(database, "status = 'ok'")
    database.close()


def damage(file: Path, table: str) -> None:
    """Overwrite a table's first page."""
    with closing(sqlite3.connect(file)) as connection:
        ((page,),) = connection.execute("select rootpage from sqlite_master where name = ?", (table,))
        ((size,),) = connection.execute("pragma page_size")
    with file.open("r+b") as pages:
        pages.seek((page - 1) * size)
        pages.write(b"\xff" * size)


@pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")
def test_a_server_that_goes_away_is_no_fault_of_the_condition(postgres_url: str) -> None:
    database = Database(load_settings(database_url=postgres_url).database_url)
    ensure_schema(database)
    run = begin_run(database)
    add(database, run, photos(10))
    label_all(database, run)

    with pytest.raises(DatabaseBusyError, match="does not answer"):
        paths(database, "pg_terminate_backend(pg_backend_pid())")
    database.close()
    gc.collect()  # the cursor of a lost connection is left to itself, and complains here, not in some later test
