"""An error of a database is judged by its code: waited out only if waiting ends it, and else told with what does.

The errors are real ones wherever a test can have the database raise them; of the others, it is Postgres that raises an
error with the code, and SQLite's driver that makes one.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from common.errors import DatabaseBusyError, DatabaseError, DatabaseRefusedError
from common.settings import load_settings
from storage.database import Database
from storage.errors import translate_error
from storage.schema_version import ensure_schema
from tests.unit.storage.nights import change

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import PostgresServer


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> Iterator[Database]:
    """A database on Postgres for all tests of this file: none of them leaves anything there."""
    with postgres.lend_database() as url, closing(Database(load_settings(database_url=url).database_url)) as database:
        ensure_schema(database)
        yield database


def told(database: Database, statement: str, parameters: dict[str, Any] | None = None) -> DatabaseError:
    """Return the error that a statement ends with."""
    with pytest.raises(DatabaseError) as caught, database.write() as connection:
        connection.execute(text(statement), parameters or {})
    return caught.value


RAISE = "do $$ begin raise exception using errcode = '{}', message = 'the reason', schema = 'x'; end $$"


@pytest.mark.parametrize(
    "code",
    [
        *("08000", "08003", "08006", "40001", "40P01", "53200", "53300", "55006", "55P03", "57014"),
        *("57P01", "57P02", "57P03", "57P05", "25P03"),
    ],
)
def test_what_waiting_ends_is_worth_waiting_for(server: Database, code: str) -> None:
    assert type(told(server, RAISE.format(code))) is DatabaseBusyError


@pytest.mark.parametrize("code", ["22001", "22003", "22021", "22P05", "23502", "23505", "23514", "54000", "54001"])
def test_a_value_that_postgres_does_not_take_is_no_outage(server: Database, code: str) -> None:
    error = told(server, RAISE.format(code))
    assert type(error) is DatabaseRefusedError
    assert "does not take a value: the reason" in str(error)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("25006", "standby"),
        ("28000", "--db"),
        ("28P01", "--db"),
        ("3D000", "--db"),
        ("3F000", "CREATE SCHEMA"),
        ("42501", "grant"),
        ("53100", "Free some space"),
        ("57P04", "--db"),
        ("58030", "disk"),
        ("XX001", "backup"),
        ("XX002", "REINDEX"),
        *((code, "log") for code in ("0A000", "42P01", "42703", "53400", "55000", "XX000", "P0001")),
    ],
)
def test_what_waiting_does_not_end_is_told_with_what_does(server: Database, code: str, advice: str) -> None:
    error = told(server, RAISE.format(code))
    assert type(error) is DatabaseError
    assert advice in str(error)
    assert "does not answer" not in str(error)


def test_an_entry_too_large_for_an_index_is_no_outage(server: Database) -> None:
    """What a path of 3,000 bytes once was, and the run went on for ever."""
    many = "select string_agg(md5(n::text), '') from generate_series(1, 300) n"
    statement = "insert into workers (name, host, pid, started_at, seen_at, rss_bytes, peak_rss_bytes)"
    assert type(told(server, f"{statement} select ({many}), '', 1, now(), now(), 1, 1")) is DatabaseRefusedError


def test_a_zero_character_is_a_value_that_postgres_does_not_take(server: Database) -> None:
    assert type(told(server, "select cast(:value as text)", {"value": "a\0b"})) is DatabaseRefusedError


def test_what_is_not_unicode_is_a_value_that_no_database_takes(database: Database) -> None:
    assert type(told(database, "select :value", {"value": "\udcff"})) is DatabaseRefusedError


def test_a_number_too_large_for_sqlite_is_a_value_that_it_does_not_take(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path}/night.db")) as database:
        assert type(told(database, "select :value", {"value": 2**70})) is DatabaseRefusedError


def test_two_transactions_that_wait_for_each_other_are_no_fault_of_the_values(server: Database) -> None:
    for name in ("one", "other"):
        change(server, f"insert into workers values ('{name}', '', 1, now(), now(), 1, 1)")

    def update(connection: Any, name: str) -> None:
        connection.execute(text(f"update workers set pid = pid + 1 where name = '{name}'"))

    import threading

    met = threading.Barrier(2)
    errors: list[Exception] = []

    def crosswise(first: str, second: str) -> None:
        try:
            with server.write() as connection:
                update(connection, first)
                met.wait(30)
                update(connection, second)
        except DatabaseError as error:
            errors.append(error)

    threads = [threading.Thread(target=crosswise, args=names) for names in (("one", "other"), ("other", "one"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    change(server, "delete from workers")
    assert [type(error) for error in errors] == [DatabaseBusyError]


def test_more_transactions_than_connections_are_waited_for(server: Database) -> None:
    engine = server._engine
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    held = [engine.connect() for _ in range(pool.size() + pool._max_overflow)]
    pool._timeout = 0.1
    try:
        assert type(told(server, "select 1")) is DatabaseBusyError
    finally:
        for connection in held:
            connection.close()


def test_a_postgres_that_only_reads_is_not_waited_for(server: Database) -> None:
    error = told(server, "set transaction read only; create table note (id integer)")
    assert type(error) is DatabaseError
    assert "standby" in str(error)


def test_a_pgbouncer_that_lends_single_statements_is_not_waited_for() -> None:
    original = psycopg.errors.ProtocolViolation("transaction blocks not allowed in statement pooling mode")
    error = translate_error(OperationalError("select 1", None, original), "photos", str(original))
    assert type(error) is DatabaseError
    assert "Set pool_mode to transaction or session" in str(error)


def sqlite_error(code: int) -> OperationalError:
    """Return an error as SQLAlchemy has it of SQLite's driver."""
    original = sqlite3.OperationalError("the reason")
    original.sqlite_errorcode = code
    return OperationalError("select 1", None, original)


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL]
)
def test_a_lock_of_sqlites_is_worth_waiting_for(code: int) -> None:
    assert type(translate_error(sqlite_error(code), "night.db", "the reason")) is DatabaseBusyError


@pytest.mark.parametrize("code", [sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_CONSTRAINT_CHECK])
def test_a_value_that_sqlite_does_not_take_is_no_lock(code: int) -> None:
    assert type(translate_error(sqlite_error(code), "night.db", "the reason")) is DatabaseRefusedError


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (sqlite3.SQLITE_FULL, "Free some space"),
        (sqlite3.SQLITE_IOERR_READ, "Is the disk healthy"),
        (sqlite3.SQLITE_IOERR_FSYNC, "Is the disk healthy"),
        (sqlite3.SQLITE_CORRUPT, "backup"),
        (sqlite3.SQLITE_NOTADB, "backup"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "May this user write"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, "Does its folder exist"),
        (sqlite3.SQLITE_ERROR, "nightlabel"),
        (sqlite3.SQLITE_NOMEM, "nightlabel"),
    ],
)
def test_what_is_wrong_with_a_sqlite_file_is_told_with_what_helps(code: int, advice: str) -> None:
    error = translate_error(sqlite_error(code), "night.db", "the reason")
    assert type(error) is DatabaseError
    assert advice in str(error)


def test_a_text_that_is_too_long_for_sqlite_is_a_value_that_it_does_not_take(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path}/night.db")) as database:
        event.listen(database._engine, "connect", lambda raw, _: raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000))
        assert type(told(database, "select :value", {"value": "x" * 20_000})) is DatabaseRefusedError


def test_a_table_that_is_not_there_is_no_lock(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path}/night.db")) as database:
        error = told(database, "select * from nowhere")
    assert type(error) is DatabaseError
    assert "no such table: nowhere" in str(error)
