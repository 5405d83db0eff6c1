"""Who a database is: what tells it from every other one, also from one that is made anew in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from storage.tables import identity

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from storage.database import Database


def identity_of(database: Database) -> str:
    """Return the database's identity, which its first migration gave it."""
    with database.read() as connection:
        return read_identity(connection)


def read_identity(connection: Connection) -> str:
    """Return the identity of the database that a connection leads to."""
    return str(connection.execute(select(identity.c.uuid)).scalar_one())
