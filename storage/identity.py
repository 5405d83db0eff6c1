"""Who a database is: what tells it from every other one, also from one that is made anew in its place."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from common.errors import DatabaseError
from storage.tables import identity

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from storage.database import Database

_IDENTITY = "SELECT uuid FROM identity"


def identity_of(database: Database) -> str:
    """Return the database's identity, which its first migration gave it."""
    with database.read() as connection:
        return read_identity(connection)


def keep_to_identity(database: Database) -> str:
    """Return the database's identity, and have it refused where another one is met in its place later.

    Who follows a run knows it by its number, which is another run's in a database that was made anew.
    """
    kept = identity_of(database)

    def check(connection: Any) -> None:  # noqa: ANN401 - a driver's
        with closing(connection.cursor()) as cursor:
            try:
                found = cursor.execute(_IDENTITY).fetchone()
            except Exception as error:
                if not _says_no_table(error):
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


def _says_no_table(error: Exception) -> bool:
    """Tell whether a driver's error is of a table that is not there (SQLSTATE 42P01, or SQLite's only words for it)."""
    return getattr(error, "sqlstate", None) == "42P01" or "no such table" in str(error)


def read_identity(connection: Connection) -> str:
    """Return the identity of the database that a connection leads to."""
    return str(connection.execute(select(identity.c.uuid)).scalar_one())
