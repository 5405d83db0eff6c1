"""Postgres as it is run: in other encodings, with other schemas than `public`, and for roles with few rights."""

from __future__ import annotations

import shlex
import subprocess
import uuid
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from common.errors import DatabaseError
from common.settings import load_settings
from storage.database import Database
from storage.missing_kinds import fill_kinds
from storage.records import ImageRef
from storage.schema_version import check_schema, ensure_schema, upgrade
from tests.servers import postgres_bin
from tests.unit.storage.nights import add, ask, begin_run, change, label_all, number, photos

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import PostgresServer


@contextmanager
def opened(url: str) -> Iterator[Database]:
    with closing(Database(load_settings(database_url=url).database_url)) as database:
        yield database


def refusal(url: str) -> str:
    """Return what is said of a database that cannot be used."""
    with opened(url) as database, pytest.raises(DatabaseError) as caught:
        ensure_schema(database)
    return str(caught.value)


def in_schema(url: str, search_path: str) -> str:
    return f"{url}&options={quote(f'-csearch_path={search_path}')}"


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


def named(postgres: PostgresServer, encoding: str) -> str:
    name = f"t{uuid.uuid4().hex}"
    with opened(postgres.url("postgres")) as server:
        engine = server._engine.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
            )
    return postgres.url(name)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP", "WIN1252", "KOI8R"])
def test_a_database_that_is_not_utf8_is_refused_with_the_command_that_makes_one(
    postgres: PostgresServer, encoding: str
) -> None:
    url = named(postgres, encoding)
    message = refusal(url)
    assert f"keeps text as {encoding}" in message
    command = shlex.split(message.partition("name that: ")[2])
    binaries = postgres_bin()
    assert binaries
    if (binaries / command[0]).exists():  # the wheel has no `createdb`
        subprocess.run([binaries / command[0], *command[1:]], check=True)
        with opened(postgres.url(command[-1])) as database:
            ensure_schema(database)
            assert add(database, begin_run(database), [ImageRef("/\U0001f415/й/犬.jpg", 1, 1)]).added == 1


def test_an_encoding_that_postgres_does_not_convert_is_no_outage(postgres: PostgresServer) -> None:
    message = refusal(named(postgres, "MULE_INTERNAL"))
    assert "does not answer" not in message
    assert "createdb --template=template0 --encoding=UTF8" in message


def test_an_option_that_libpq_does_not_know_is_told_as_a_fault_of_the_url(url: str) -> None:
    assert refusal(f"{url}&nosuch=1").endswith('option "nosuch". Is NIGHTLABEL_DATABASE_URL (or --db) right?')


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_a_database_that_is_not_utf8_is_refused_by_commands_that_only_read_and_by_an_upgrade(
    postgres: PostgresServer, encoding: str
) -> None:
    with opened(named(postgres, encoding)) as database:
        for check in (check_schema, upgrade):
            with pytest.raises(DatabaseError, match=f"keeps text as {encoding}"):
                check(database)


def test_the_clients_own_encoding_does_not_matter(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with opened(url) as database:
        ensure_schema(database)
        assert add(database, begin_run(database), [ImageRef("/\U0001f415.jpg", 1, 1)]).added == 1
        assert ask(database, "select path from images") == [("/\U0001f415.jpg",)]


def test_two_schemas_of_one_database_are_two_nights(url: str) -> None:
    with opened(url) as public:
        ensure_schema(public)
        add(public, begin_run(public), photos(3))
        change(public, "create schema photos")
        with opened(in_schema(url, "photos,public")) as photographs:
            with pytest.raises(DatabaseError, match=r"is empty.*the schema photos.*nightlabel's in public"):
                check_schema(photographs)
            ensure_schema(photographs)
            check_schema(photographs)
            add(photographs, begin_run(photographs), photos(5))
            label_all(photographs, begin_run(photographs))
            assert number(photographs, "select count(*) from results") == 5
        assert number(public, "select count(*) from images") == 3
        assert number(public, "select count(*) from results") == 0
        assert number(public, "select count(*) from photos.results") == 5


@pytest.mark.parametrize("name", ['"Photos 2024"', '"o\'brien"', '"a%b"'])
def test_a_schema_may_have_any_name(url: str, name: str) -> None:
    with opened(url) as database:
        change(database, f"create schema {name}")
        change(database, f"alter role nightlabel in database {database.url.database} set search_path = {name}")
    with opened(url) as database:
        ensure_schema(database)
        ensure_schema(database)
        assert upgrade(database)[0] == upgrade(database)[1]
        add(database, begin_run(database), photos(2))
        assert number(database, f"select count(*) from {name}.images") == 2


def test_a_search_path_that_leads_nowhere_is_told_with_what_to_do(url: str) -> None:
    message = refusal(in_schema(url, "nowhere"))
    assert "search_path" in message
    assert "CREATE SCHEMA" in message


def test_a_role_that_may_not_create_tables_in_public_is_told_what_it_lacks(url: str) -> None:
    role = f"r{uuid.uuid4().hex}"
    with opened(url) as owner:
        change(owner, f"create role {role} login")
    message = refusal(url.replace("nightlabel@", f"{role}@"))
    assert "permission denied for schema public" in message
    assert "CREATE on its schema" in message


def test_a_role_without_rights_in_public_works_in_a_schema_of_its_own(url: str) -> None:
    role = f"r{uuid.uuid4().hex}"
    with opened(url) as owner:
        change(owner, f"create role {role} login")
        change(owner, f"create schema {role} authorization {role}")  # `"$user"` comes first in every search path
    with opened(url.replace("nightlabel@", f"{role}@")) as database:
        ensure_schema(database)
        run = begin_run(database)
        add(database, run, photos(3))
        label_all(database, run)
        assert number(database, f"select count(*) from {role}.results") == 3


def test_a_role_that_only_labels_needs_no_right_to_create(url: str) -> None:
    role = f"r{uuid.uuid4().hex}"
    with opened(url) as owner:
        ensure_schema(owner)
        for statement in (
            f"create role {role} login",
            f"grant select, insert, update on all tables in schema public to {role}",
            f"grant delete on image_things to {role}",
            f"grant usage on all sequences in schema public to {role}",
            "update vocabulary set version = 'of another version'",  # whose names this role leaves to others
        ):
            change(owner, statement)
    with opened(url.replace("nightlabel@", f"{role}@")) as database:
        ensure_schema(database)
        run = begin_run(database)
        add(database, run, photos(3))
        label_all(database, run)
        assert number(database, "select count(*) from results") == 3
        assert ask(database, "select version from vocabulary") == [("of another version",)]
        assert fill_kinds(database, lambda *_: None).results == 0
    with opened(url) as owner:
        ensure_schema(owner)
        assert ask(owner, "select version from vocabulary") != [("of another version",)]


def test_a_role_that_only_reads_can_ask_and_is_told_what_it_lacks_for_more(url: str) -> None:
    role = f"r{uuid.uuid4().hex}"
    with opened(url) as owner:
        ensure_schema(owner)
        change(owner, f"create role {role} login")
        change(owner, f"grant select on all tables in schema public to {role}")
    with opened(url.replace("nightlabel@", f"{role}@")) as database:
        check_schema(database)
        assert number(database, "select count(*) from results") == 0
        with pytest.raises(DatabaseError, match=r"permission denied for table.*SELECT, INSERT and UPDATE"):
            begin_run(database)


def test_a_database_of_another_program_is_not_taken_for_a_newer_nightlabels(database: Database) -> None:
    change(database, "drop table manifest")
    change(database, "update alembic_version set version_num = 'ae1027a6acf'")
    for check in (check_schema, ensure_schema, upgrade):
        with pytest.raises(DatabaseError, match="is another program's: its schema is at ae1027a6acf"):
            check(database)


def test_tables_of_another_program_with_our_names_are_left_alone(url: str) -> None:
    with opened(url) as database:
        change(database, "create table images (id integer)")
        change(database, "insert into images values (7)")
    message = refusal(url)
    assert "schema of its own" in message
    with opened(url) as database:
        assert ask(database, "select id from images") == [(7,)]


def test_a_server_that_has_vanished_is_given_up_on_after_a_minute_unless_the_url_says_otherwise(url: str) -> None:
    def told(of: str) -> dict[str, str]:
        with opened(of) as database, database.read() as connection:
            driver: Any = connection.connection.driver_connection
            parameters: dict[str, str] = driver.info.get_parameters()
            return parameters

    assert int(told(url)["keepalives_idle"]) + 3 * int(told(url)["keepalives_interval"]) == 60
    assert told(url)["tcp_user_timeout"] == "60000"
    assert told(f"{url}&keepalives_idle=7")["keepalives_idle"] == "7"
