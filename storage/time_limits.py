"""A limit on how long statements may take, by the database's own means."""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from common.errors import QueryTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

#: SQLite looks at the clock each time that it has done so many steps of its virtual machine: about every 0.2 ms. Each
#: look waits for Python's global lock.
_STEPS = 10_000
#: What Postgres says of a statement that it cancelled. PostgreSQL's manual, «PostgreSQL Error Codes»
_QUERY_CANCELED = "57014"


@contextmanager
def time_limit(connection: Connection, seconds: float | None) -> Iterator[None]:
    """Have the statements of a transaction stopped when they take too long.

    Args:
        connection: in a transaction. What is left of it can only be rolled back once a statement was stopped.
        seconds: from now on; on Postgres, a statement that begins in time has as long once more. None: no limit.

    Raises:
        QueryTimeoutError: a statement was stopped. No row of it is to be taken for all of them.

    """
    if seconds is None:
        yield
        return
    is_sqlite = connection.dialect.name == "sqlite"
    driver: Any = connection.connection.driver_connection
    stopped = too_slow(seconds)
    deadline = time.monotonic() + seconds

    def check_time(*_: object) -> None:
        """Stop many short statements, of which none is stopped by itself."""
        if time.monotonic() > deadline:
            raise stopped

    event.listen(connection, "before_cursor_execute", check_time)
    try:
        if is_sqlite:
            driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        else:
            # LOCAL: until the transaction ends, so that a pgbouncer lends nobody a connection with our limit.
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {math.ceil(seconds * 1000)}")
        yield
    except DBAPIError as error:
        if not _was_stopped(error.orig):
            raise
        raise stopped from error
    finally:
        event.remove(connection, "before_cursor_execute", check_time)
        if is_sqlite and not connection.invalidated:
            driver.set_progress_handler(None, 0)


def too_slow(seconds: float) -> QueryTimeoutError:
    """Return what is said of a query that took longer than so many seconds."""
    return QueryTimeoutError(f"The query took longer than {seconds:g} s, and was stopped.")


def _was_stopped(error: BaseException | None) -> bool:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_INTERRUPT or getattr(error, "sqlstate", None) == _QUERY_CANCELED
