"""A person's own query reads and does nothing else, for as long as it may: attacks, on SQLite and on Postgres."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from common.errors import DatabaseError, QueryTimeoutError, UsageError
from common.settings import load_settings
from storage.database import Database
from storage.documented_queries import DOCUMENTED_QUERIES
from storage.read_only import MAX_SQL_CHARACTERS, ask
from storage.schema_version import ensure_schema
from tests.conftest import empty_database
from tests.unit.storage.nights import add, begin_run, change, label_all, number, photos
from tests.unit.storage.nights import ask as ask_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.answered import Answered
    from tests.servers import PostgresServer

#: Of one value, and of all that is answered.
MAX_BYTES = 1_000_000


def asked(database: Database, sql: str, *, time_limit_s: float = 20, max_rows: int = 5) -> Answered:
    return ask(database, sql, time_limit_s=time_limit_s, max_rows=max_rows, max_bytes=MAX_BYTES)


def refusal(database: Database, sql: str) -> str:
    with pytest.raises(UsageError) as caught:
        asked(database, sql)
    return str(caught.value)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def night_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name an empty database for all tests here that change nothing, on SQLite and on Postgres."""
    with empty_database(request, tmp_path_factory.mktemp("read_only")) as url:
        yield url


@pytest.fixture(scope="module")
def night(night_url: str) -> Iterator[Database]:
    """Eight images that are labelled."""
    with closing(Database(load_settings(database_url=night_url).database_url)) as database:
        ensure_schema(database)
        run = begin_run(database)
        add(database, run, photos(8))
        label_all(database, run)
        yield database


def tables(database: Database) -> list[Any]:
    counts = "select (select count(*) from images), (select count(*) from outcomes), (select count(*) from runs)"
    return ask_tables(database, counts)


def test_a_query_is_answered_with_its_first_rows(night: Database) -> None:
    answered = asked(night, "select path, score_1 from results order by path;  -- all of them\n", max_rows=2)
    assert answered.columns == ("path", "score_1")
    assert answered.rows == (("/photos/00000.jpg", 0.75), ("/photos/00001.jpg", 0.75))
    assert answered.is_cut
    assert not asked(night, "select path from results", max_rows=8).is_cut
    assert 0 < answered.ms < 20_000


def test_semicolons_comments_and_names_that_are_there_twice_are_no_trouble(night: Database) -> None:
    sql = "/* a; b */ -- c;\nselect ';' as x, '--' as x, 1 as \"a;%b\"  ;  /* the end; */ -- and on;"
    answered = asked(night, sql)
    assert (answered.columns, answered.rows) == (("x", "x", "a;%b"), ((";", "--", 1),))


@pytest.mark.parametrize(
    "sql",
    [
        "insert into identity values ('x', '2026-01-01')",
        "update images set path = 'x'",
        "delete from outcomes",
        "with gone as (delete from outcomes returning *) select * from gone",
        "create table t (x integer)",
        "create temp table t (x integer)",
        "create temp table t as select 1",
        "select 1 as x into t",
        "drop view results",
        "alter table images add column x integer",
        "begin",
        "commit",
        "rollback; delete from outcomes",
        "vacuum",
        "vacuum into '/tmp/nightlabel-copy.db'",
        "attach '/tmp/nightlabel-other.db' as other",
        "pragma writable_schema = on",
        "pragma query_only = off",
        "pragma journal_mode = delete",
        "pragma wal_checkpoint(truncate)",
        "analyze",
        "reindex",
        "explain analyze insert into images (path) values ('x')",
        "select load_extension('x')",
        "select writefile('/tmp/x', 'x')",
        "select readfile('/etc/passwd')",
        "select edit('x')",
        "copy images to program 'touch /tmp/nightlabel-was-here'",
        "copy (select 1) to '/tmp/nightlabel-was-here'",
        "do $$ begin perform 1; end $$",
        "call anything()",
        "set statement_timeout = 0",
        "show all",
        "lock table images",
        "listen x",
        "prepare p as select 1",
        "declare c cursor for select 1",
        "select 1; select 2",
        "select 1;;select 2",
        "select 1; -- a\n delete from outcomes",
        "/* select */ delete from outcomes",
        "-- select\ndelete from outcomes",
        "select 1) as q(c1); delete from outcomes; --",
        "select 1) as q(c1), (select 2",
        "select $1",
        "select 'a",
        "select /* a",
        "select \0 1",
        "select '\udcff'",
        "select '" + "a" * MAX_SQL_CHARACTERS + "'",
        ";",
        "-- nothing",
        "no sql at all",
    ],
)
def test_what_is_no_single_query_is_refused_and_changes_nothing(night: Database, sql: str) -> None:
    before = tables(night)
    refusal(night, sql)
    assert tables(night) == before


def test_the_databases_own_words_say_why(night: Database) -> None:
    assert "no_such_column" in refusal(night, "select no_such_column from images")
    assert refusal(night, "select 1; select 2").count("statement") == 1


ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c) select "


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(f"{ENDLESS} max(x) from c", id="recursion"),
        pytest.param("select count(*) from results a, results b, results c, results d, results e, images f,"
                     " images g, images h, images i, images j", id="product"),
    ],
)  # fmt: skip
def test_a_query_without_an_end_ends_in_time_and_leaves_nobody_behind(night: Database, query: str) -> None:
    begun = time.monotonic()
    with pytest.raises(QueryTimeoutError, match=r"^The query took longer than 0\.5 s, and was stopped\.$"):
        asked(night, query, time_limit_s=0.5)
    assert time.monotonic() - begun < 10
    assert not [one for one in psutil.Process().children() if "storage.sqlite_query" in one.cmdline()]
    if not night.is_sqlite:
        others = "select count(*) from pg_stat_activity where query like '%recursive c(x)%' and pid <> pg_backend_pid()"
        assert number(night, others) == 0
    change(night, "update runs set ignored = 1")  # nobody holds a lock


def test_values_that_no_table_can_show_as_they_are_become_text(night: Database) -> None:
    if night.is_sqlite:
        sql = "select x'00ff', 'a' || char(0) || 'b', cast(x'ff41' as text), 1e999, null, 9007199254740993"
        assert asked(night, sql).rows == ((r"\x00ff", r"a\x00b", r"\xffA", "inf", None, 9007199254740993),)
        return
    sql = """select '\\x00ff'::bytea, '{"a": [1]}'::jsonb, 'NaN'::float8, '-Infinity'::numeric, 0.1::real, true, null,
      timestamptz '2026-01-02 03:04+01', date '2026-01-02', 9007199254740993, 12345678901234567890123.0::numeric(30, 0),
      array[1, 2], row(1, 'a')"""
    assert asked(night, sql).rows == (
        (
            *(r"\x00ff", '{"a": [1]}', "NaN", "-Infinity", 0.1, True, None, "2026-01-02 02:04:00+00", "2026-01-02"),
            *(9007199254740993, 12345678901234567890123, "{1,2}", "(1,a)"),
        ),
    )


def test_no_value_and_no_answer_is_larger_than_it_may_be(night: Database) -> None:
    many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) select "
    text = "hex(zeroblob(5000))" if night.is_sqlite else "repeat('00', 5000)"
    answered = asked(night, f"{many} i, {text} as x from n", max_rows=1_000_000)
    assert answered.is_cut
    assert 90 <= len(answered.rows) <= 100
    giants = ("zeroblob(1000000000)", "randomblob(1000000000)") if night.is_sqlite else ("repeat('x', 100000000)",)
    for giant in giants:
        assert "too big" in (said := refusal(night, f"select {giant} as x")) or "1,000,000 characters" in said
    gathered = "group_concat(i)" if night.is_sqlite else "string_agg(i::text, ',')"
    refusal(night, f"{many.replace('100000', '1000000')} {gathered} as x from n")


def test_no_more_columns_are_answered_than_a_row_may_have(database: Database) -> None:
    columns = ", ".join(f"1 as c{place}" for place in range(2000))
    assert "too many" in refusal(database, f"select {columns}") or "1664" in refusal(database, f"select {columns}")
    assert len(asked(database, "select * from results a, results b, results c").columns) > 90


def test_every_documented_query_is_taken(night: Database) -> None:
    for queries in DOCUMENTED_QUERIES.values():
        for query in queries:
            asked(night, query.sql)


# SQLite: the file and what lies beside it.


def sqlite_night(name: bytes, folder: Path) -> Database:
    """A database in WAL mode, of a name of any bytes, that nobody has open."""
    path = os.path.join(os.fsencode(folder), name)
    quoted = "".join(f"%{byte:02x}" for byte in path)
    database = Database(load_settings(database_url=f"sqlite:///{quoted}").database_url)
    ensure_schema(database)
    add(database, begin_run(database), photos(3))
    database.close()
    return database


@pytest.mark.parametrize("name", [b"night.db", b"a?b#c%20d.db", b"caf\xe9 :memory:.db", b"file:x.db"])
def test_a_file_of_any_name_is_read_and_nothing_appears_beside_it(tmp_path: Path, name: bytes) -> None:
    database = sqlite_night(name, tmp_path)
    path = os.path.join(os.fsencode(tmp_path), name)
    before = (os.listdir(os.fsencode(tmp_path)), os.stat(path))
    assert asked(database, "select count(*) from images").rows == ((3,),)
    refusal(database, "delete from images")
    after = (os.listdir(os.fsencode(tmp_path)), os.stat(path))
    assert before[0] == after[0] == [name]
    assert before[1].st_mtime_ns == after[1].st_mtime_ns


def test_what_a_writer_has_stored_is_seen_and_the_writer_never_waits(tmp_path: Path) -> None:
    database = sqlite_night(b"night.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "night.db", isolation_level=None, timeout=0)) as writer:
        writer.execute("pragma synchronous = off")
        writer.execute("update images set size = 77")
        assert sorted(os.listdir(tmp_path)) == ["night.db", "night.db-shm", "night.db-wal"]
        writer.execute("begin immediate")
        assert asked(database, "select distinct size from images").rows == ((77,),)
        writer.execute("commit")
    assert os.listdir(tmp_path) == ["night.db"]


def test_a_file_that_changes_while_it_is_read_as_a_quiet_one_is_read_again(tmp_path: Path) -> None:
    """The query is slow, and begins when nobody has the file open; the writer has come and gone before it ends."""
    database = sqlite_night(b"night.db", tmp_path)
    slow = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000000)"
        " select size, count(*) from (select max(size) as size from images) as read_first, n"
    )
    answers: list[Answered] = []
    reader = threading.Thread(target=lambda: answers.append(asked(database, slow, time_limit_s=300)))
    reader.start()
    time.sleep(0.3)
    with closing(sqlite3.connect(tmp_path / "night.db", isolation_level=None)) as writer:
        writer.execute("update images set size = 77")
    assert os.listdir(tmp_path) == ["night.db"]
    reader.join()
    assert answers[0].rows[0][0] == 77


def test_a_log_that_a_killed_writer_left_is_read(tmp_path: Path) -> None:
    database = sqlite_night(b"night.db", tmp_path)
    copy = tmp_path / "copy"
    copy.mkdir()
    with closing(sqlite3.connect(tmp_path / "night.db", isolation_level=None)) as writer:
        writer.execute("update images set size = 77")
        for end in ("", "-wal", "-shm"):
            (copy / f"night.db{end}").write_bytes((tmp_path / f"night.db{end}").read_bytes())
    killed = Database(f"sqlite:///{copy / 'night.db'}")
    assert asked(killed, "select distinct size from images").rows == ((77,),)
    assert sorted(os.listdir(copy)) == ["night.db", "night.db-shm", "night.db-wal"]
    assert asked(database, "select count(*) from images").rows == ((3,),)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="unable to open"):
        asked(Database(f"sqlite:///{tmp_path / 'none.db'}"), "select 1 from sqlite_master")
    assert os.listdir(tmp_path) == []


def test_one_step_of_sqlites_that_takes_minutes_ends_in_time(tmp_path: Path) -> None:
    """`instr` compares half a megabyte at half a million places, and looks at no clock."""
    database = sqlite_night(b"night.db", tmp_path)
    text = "replace(hex(zeroblob(240000)), '0', 'a')"
    begun = time.monotonic()
    with pytest.raises(QueryTimeoutError):
        asked(database, f"select instr({text} || {text}, {text} || 'b')", time_limit_s=0.5)
    assert time.monotonic() - begun < 5


def test_a_query_that_holds_too_much_ends_alone(tmp_path: Path) -> None:
    database = sqlite_night(b"night.db", tmp_path)
    columns = ", ".join("hex(zeroblob(3900000))" for _ in range(200))
    with pytest.raises(UsageError, match="it takes too much memory"):
        ask(database, f"select {columns}", time_limit_s=60, max_rows=1, max_bytes=8_000_000)


# Postgres: functions that act outside of the transaction.


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> Iterator[Database]:
    """A database on Postgres, with functions of its own."""
    with postgres.lend_database() as url, closing(Database(load_settings(database_url=url).database_url)) as database:
        ensure_schema(database)
        for name in ("own_function", '"Own_Function"', f'"Of_sixty_three_bytes_and_more_{"x" * 33}"'):
            change(database, f"create function {name}() returns int language sql volatile as 'select 1'")
        yield database


@pytest.mark.parametrize(
    "call",
    [
        "pg_sleep(60)",
        "PG_SLEEP(60)",
        '"pg_sleep"(60)',
        "pg_catalog.pg_sleep(60)",
        'pg_catalog . /* a */ "pg_sleep" (60)',
        "pg_terminate_backend(pg_backend_pid())",
        "pg_cancel_backend(1)",
        "pg_read_file('/etc/passwd')",
        "pg_ls_dir('/')",
        "lo_import('/etc/passwd')",
        "lo_export(1, '/tmp/x')",
        "set_config('statement_timeout', '0', false)",
        "pg_advisory_lock(1)",
        "nextval('runs_id_seq')",
        "setval('runs_id_seq', 1)",
        "setseed(0.5)",
        "query_to_xml('select pg_sleep(60)', true, true, '')",
        "pg_notify('a', 'b')",
        "pg_reload_conf()",
        "pg_switch_wal()",
        "pg_stat_reset()",
        "own_function()",
        '"Own_Function"()',
        '"Of_sixty_three_bytes_and_more_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"()',
    ],
)
def test_functions_that_act_outside_of_a_transaction_are_refused_by_name(server: Database, call: str) -> None:
    assert "is the name of a function that may do more than read" in refusal(server, f"select {call}")


def test_a_name_of_escapes_is_refused(server: Database) -> None:
    assert "U&" in refusal(server, 'select u&"pg\\005fsleep"(60)')


def test_harmless_volatile_functions_are_taken_but_not_others_of_their_name(server: Database) -> None:
    assert asked(server, "select random() < 2, clock_timestamp() > now() - interval '1 day'").rows == ((True, True),)
    change(server, "create function random(x int) returns int language sql volatile as 'select x'")
    refusal(server, "select random(1)")


def test_a_query_for_update_and_what_a_view_writes_fail_in_a_transaction_that_reads(server: Database) -> None:
    change(server, "create table t (x int)")
    body = "insert into t values (1) returning 1"
    change(server, f"create function hidden() returns int language sql volatile as '{body}'")
    change(server, "create view smuggler as select hidden() as x")
    assert "read-only transaction" in refusal(server, "select * from images for update")
    assert "read-only transaction" in refusal(server, "select * from smuggler")
    assert number(server, "select count(*) from t") == 0


def test_a_query_does_not_wait_for_a_lock(server: Database) -> None:
    with server.write() as connection:
        connection.exec_driver_sql("lock table images in access exclusive mode")
        with pytest.raises(DatabaseError, match="lock timeout"):
            asked(server, "select * from images")


def test_a_session_ends_with_its_query(server: Database) -> None:
    (pid,) = asked(server, "select pg_backend_pid()").rows[0]
    deadline = time.monotonic() + 10
    while number(server, f"select count(*) from pg_stat_activity where pid = {pid}") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert number(server, f"select count(*) from pg_stat_activity where pid = {pid}") == 0


def test_no_password_is_told(postgres: PostgresServer) -> None:
    url = f"postgresql://nightlabel:s3cr3t@/nowhere?host={postgres.folder}"
    with (
        closing(Database(load_settings(database_url=url).database_url)) as database,
        pytest.raises(DatabaseError) as caught,
    ):
        asked(database, "select 1")
    assert "s3cr3t" not in str(caught.value)
