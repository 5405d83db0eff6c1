"""Which database it is: a UUID that tells it from every other one, also from one that is made anew in its place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from common.errors import DatabaseError
from storage.tables import identity

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from storage.database import Database

_IDENTITY = "SELECT uuid FROM identity"
_SQLITE_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
#: PostgreSQL's manual, «PostgreSQL Error Codes»: undefined_table.
_UNDEFINED_TABLE = "42P01"


def database_identity(database: Database) -> str:
    """Return the database's identity, which its first migration gave it."""
    with database.read() as connection:
        return read_identity(connection)


def pin_identity(database: Database) -> str:
    """Return the database's identity, and refuse any other database that is found in its place later.

    Who follows a run knows it by its number, which is another run's in a database that was made anew.
    """
    kept = database_identity(database)

    def check(connection: Any) -> None:  # noqa: ANN401 - a driver's
        with closing(connection.cursor()) as cursor:
            try:
                found = cursor.execute(_IDENTITY).fetchone()
            except Exception as error:
                if not _lacks_table(cursor, error):
                    raise
                found = None
        connection.rollback()  # Postgres' driver has begun a transaction
        if found != (kept,):
            raise DatabaseError(
                f"The database {database.shown} is another one than this command began with: it was made anew, or"
                " replaced. Type the same command again."
            )

    database.check_connections(check)
    return kept


def _lacks_table(cursor: Any, error: Exception) -> bool:  # noqa: ANN401 - a driver's
    """Tell whether a driver's error means that the table is not there.

    Postgres has a code for it. SQLite has the same one for every mistake in a statement, and is asked for its tables.
    """
    if hasattr(error, "sqlstate"):
        return bool(error.sqlstate == _UNDEFINED_TABLE)
    if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
        return False
    return cursor.execute(_SQLITE_TABLE, (identity.name,)).fetchone() is None


def read_identity(connection: Connection) -> str:
    """Return the identity of the database that a connection leads to."""
    return str(connection.execute(select(identity.c.uuid)).scalar_one())
