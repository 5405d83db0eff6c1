"""Connecting, transactions, and errors that are sentences: what happened, and what to do."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import column, event, literal, select, table, text, union_all

import storage.connecting
from common.errors import DatabaseBusyError, DatabaseError, NightlabelError, UsageError
from common.settings import load_settings
from storage.database import Database
from storage.schema_version import check_schema, ensure_schema
from tests.unit.storage.nights import add, ask, begin_run, change, photos
from tests.unit.storage.privileges import without_privileges

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import PostgresServer

HIDDEN = "s3cr3t"


@contextmanager
def closing(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def sentence(url: str, kind: type[NightlabelError] = DatabaseError) -> str:
    """Return what is said of a database in which no schema can be made."""
    with pytest.raises(kind) as caught, closing(url) as database:
        ensure_schema(database)
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The SQLite file of a night."""
    path = tmp_path / "night.db"
    with closing(f"sqlite:///{path}") as database:
        ensure_schema(database)
    return path


@contextmanager
def writer(path: Path, ends_after_s: float = 0) -> Iterator[None]:
    """Hold the file's write lock, as another program does in the middle of a transaction, which may end by itself."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(ends_after_s, connection.rollback)
    if ends_after_s:
        timer.start()
    try:
        yield
    finally:
        if ends_after_s:
            timer.join()
        connection.close()


def test_a_postgres_that_is_not_there_is_named_with_what_to_check() -> None:
    message = sentence("postgresql+psycopg://anna@127.0.0.1:1/photos")
    assert "postgresql://anna@127.0.0.1:1/photos does not answer" in message
    assert "NIGHTLABEL_DATABASE_URL" in message


def test_a_folder_that_does_not_exist_is_asked_about(tmp_path: Path) -> None:
    message = sentence(f"sqlite:///{tmp_path}/no/night.db")
    assert "Does its folder exist" in message


def test_a_file_that_is_no_database_is_refused_in_a_sentence(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("Milk, bread, and a birthday present for Anna.\n" * 100)
    assert str(notes) in sentence(f"sqlite:///{notes}")


def test_a_damaged_database_is_refused_in_a_sentence(file: Path) -> None:
    with file.open("r+b") as damaged:
        damaged.seek(100)
        damaged.write(b"\xff" * 8000)
    assert str(file) in sentence(f"sqlite:///{file}")


def test_a_file_that_may_not_be_written_is_asked_about(short_folder: Path) -> None:
    path = short_folder / f"{uuid.uuid4()}.db"
    with closing(f"sqlite:///{path}") as database:
        ensure_schema(database)
    path.chmod(0o444)
    with (
        without_privileges(),
        closing(f"sqlite:///{path}") as database,
        pytest.raises(DatabaseError, match="May this user write to"),
    ):
        begin_run(database)


def test_a_lock_that_does_not_end_is_worth_trying_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.connecting, "SQLITE_BUSY_TIMEOUT_S", 0.1)
    with (
        writer(file),
        closing(f"sqlite:///{file}") as database,
        pytest.raises(DatabaseBusyError, match="database is locked"),
    ):
        begin_run(database)


def test_a_lock_that_ends_in_time_is_waited_for(file: Path) -> None:
    with writer(file, ends_after_s=0.3), closing(f"sqlite:///{file}") as database:
        assert begin_run(database).id == 1


def test_readers_do_not_wait_for_a_writer(file: Path) -> None:
    with writer(file), closing(f"sqlite:///{file}") as database:
        check_schema(database)


def test_a_new_file_that_another_process_is_writing_to_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with writer(path, ends_after_s=0.3), closing(f"sqlite:///{path}") as database:
        ensure_schema(database)


def test_a_full_disk_is_said_to_be_full(file: Path) -> None:
    with closing(f"sqlite:///{file}") as database:
        # A file that may not grow: SQLite says what it says when the disk is full.
        event.listen(database._engine, "connect", lambda raw, _: raw.execute("PRAGMA max_page_count=1"))
        run = begin_run(database)
        with pytest.raises(DatabaseError, match=r"is full.*Free some space"):
            add(database, run, photos(1000))


def test_nothing_of_a_batch_that_filled_the_disk_is_stored(file: Path) -> None:
    with closing(f"sqlite:///{file}") as database:
        event.listen(database._engine, "connect", lambda raw, _: raw.execute("PRAGMA max_page_count=1"))
        run = begin_run(database)
        with pytest.raises(DatabaseError):
            add(database, run, photos(1000))
        assert ask(database, "select count(*) from images") == [(0,)]


def test_a_commit_survives_a_power_cut(file: Path) -> None:
    with closing(f"sqlite:///{file}") as database:
        full = 2
        assert ask(database, "pragma synchronous") == [(full,)]


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    def begin_and_raise() -> None:
        with database.write() as connection:
            connection.execute(text("update alembic_version set version_num = '9999'"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        begin_and_raise()
    assert ask(database, "select version_num from alembic_version") == [(storage.schema_version.REVISION,)]


def test_a_postgres_that_dies_in_mid_run_is_worth_trying_again(own_postgres: PostgresServer) -> None:
    def ask_twice(database: Database) -> None:
        with database.read() as connection:
            connection.execute(text("select 1"))
            own_postgres.kill()
            connection.execute(text("select 1"))

    url = load_settings(database_url=own_postgres.url("postgres")).database_url
    with closing(url) as database, pytest.raises(DatabaseBusyError):
        ask_twice(database)


def test_a_postgres_that_may_not_be_written_to_is_refused_in_a_sentence(postgres: PostgresServer) -> None:
    url = load_settings(database_url=postgres.create_database(f"t{uuid.uuid4().hex}")).database_url
    with closing(url) as owner:
        change(owner, "create role reader login")
    assert "permission denied" in sentence(url.replace("nightlabel@", "reader@"))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://anna:{HIDDEN}@127.0.0.1:1/photos",
        f"postgresql+psycopg:///photos?user=anna&password={HIDDEN}&host=127.0.0.1&port=1",
    ],
)
def test_no_message_about_a_server_shows_its_password(url: str) -> None:
    assert HIDDEN not in sentence(url)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://anna:{HIDDEN}@nas:port/photos",
        f"postgresql+nodriver://anna:{HIDDEN}@nas/photos",
        f"postgresql+psycopg2://anna:{HIDDEN}@nas/photos",
    ],
)
def test_no_message_about_an_impossible_url_shows_its_password(url: str) -> None:
    assert HIDDEN not in sentence(url, UsageError)


def test_a_database_is_shown_by_its_file_or_its_url_without_password() -> None:
    with closing("sqlite:///night.db") as file, closing(f"postgresql+psycopg://anna:{HIDDEN}@nas/photos") as server:
        assert (file.shown, server.shown) == ("night.db", "postgresql://anna:***@nas/photos")


def test_a_password_among_a_urls_options_is_not_shown() -> None:
    with closing(f"postgresql+psycopg://nas/photos?user=anna&password={HIDDEN}") as database:
        assert HIDDEN not in database.shown


def test_pages_are_columns_of_so_many_rows(database: Database) -> None:
    rows = union_all(*[select(literal(number).label("a"), literal("x").label("b")) for number in (1, 2, 3)])
    pages = list(database.pages(select(rows.subquery()), 2))
    assert [len(columns[0]) for columns in pages] == [2, 1]
    assert sorted(number for columns in pages for number in columns[0]) == [1, 2, 3]


def test_what_goes_wrong_with_a_page_is_told_as_anything_else(database: Database) -> None:
    with pytest.raises(DatabaseError, match="nowhere"):
        list(database.pages(select(column("a")).select_from(table("nowhere")), 10))
