"""A query that takes too long is stopped by the database, and the connection is good for the next one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.errors import DatabaseError, QueryTimeoutError

if TYPE_CHECKING:
    from storage.database import Database

#: Takes minutes.
ENDLESS = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT sum(i) FROM n"
)


def test_a_query_that_takes_too_long_is_stopped_and_says_so(database: Database) -> None:
    begun = time.monotonic()
    with (
        pytest.raises(QueryTimeoutError, match=r"^The query took longer than 0\.1 s, and was stopped\.$"),
        database.read(time_limit_s=0.1) as connection,
    ):
        connection.execute(ENDLESS)
    assert 0.1 <= time.monotonic() - begun < 5


def test_many_short_queries_are_stopped_too(database: Database) -> None:
    with database.read(time_limit_s=0.05) as connection:
        connection.execute(text("SELECT 1"))
        time.sleep(0.06)
        with pytest.raises(QueryTimeoutError):
            connection.execute(text("SELECT 1"))


def test_a_limit_ends_with_its_transaction(database: Database) -> None:
    """The connection goes back to the pool, and whoever gets it next has no limit, or one of its own."""
    with database.read(time_limit_s=0.02) as connection:
        connection.execute(text("SELECT 1"))
        of_driver = connection.connection.driver_connection
    time.sleep(0.03)
    with database.read() as connection:
        assert connection.connection.driver_connection is of_driver
        numbers = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000) SELECT count(*) FROM n"
        )
        assert connection.execute(text(numbers)).scalar() == 500_000


def test_another_error_within_a_limit_stays_what_it_is(database: Database) -> None:
    with pytest.raises(DatabaseError) as raised, database.read(time_limit_s=10) as connection:
        connection.execute(text("SELECT nothing_is_called_so"))
    assert not isinstance(raised.value, QueryTimeoutError)
