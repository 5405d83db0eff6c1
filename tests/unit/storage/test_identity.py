"""Whoever follows a run keeps to the database that it began with, by more than the run's number."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from common.errors import DatabaseError
from storage.database import Database
from storage.identity import pin_identity
from tests.unit.storage.nights import ask, change

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def another_process(database: Database, database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as other:
        yield other


def test_a_database_that_is_made_anew_where_it_lay_is_another_one(
    database: Database, another_process: Database
) -> None:
    """Its connections live on: Postgres' tables were dropped and made, or SQLite's `.restore` has filled the file."""
    pin_identity(database)
    ask(database, "select 1")
    change(another_process, "update identity set uuid = '00000000-0000-4000-8000-000000000001'")

    for _ in range(20):  # more than the pool has connections: none is lost with the error
        with pytest.raises(DatabaseError, match="another one than this command began with"):
            ask(database, "select 1")


def test_a_database_whose_tables_are_gone_is_another_one(database: Database, another_process: Database) -> None:
    pin_identity(database)
    ask(database, "select 1")
    change(another_process, "drop table identity")

    with pytest.raises(DatabaseError, match="another one than this command began with"):
        ask(database, "select 1")


def test_a_database_that_stays_is_used_on(database: Database) -> None:
    pin_identity(database)

    assert ask(database, "select count(*) from identity") == [(1,)]
