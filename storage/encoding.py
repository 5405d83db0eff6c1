"""The encoding of a Postgres database: none but UTF-8 can hold every name that a file may have."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from sqlalchemy import text

from common.errors import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from storage.database import Database


def raise_if_not_utf8(database: Database, connection: Connection) -> None:
    """Check that a Postgres database is in UTF-8.

    SQL_ASCII, which `initdb` chooses under LANG=C, keeps bytes and knows no characters; others lack most characters.

    Raises:
        DatabaseError: it is not; with the command that makes one which is.

    """
    if database.is_sqlite:
        return
    encoding = connection.execute(text("SHOW server_encoding")).scalar()
    if encoding != "UTF8":
        raise DatabaseError(
            f"The database {database.shown} keeps text as {encoding}, which cannot hold every file's name. Make one in"
            f" UTF-8, and name that: {_createdb(database)}"
        )


def _createdb(database: Database) -> str:
    """Return the command; in the locale C, which goes with every encoding, whatever the server's own is."""
    url = database.url
    host = url.host or url.query.get("host")
    options = {"--host": host, "--port": url.port or url.query.get("port"), "--username": url.username}
    given = [f"{option}={value}" for option, value in options.items() if isinstance(value, str | int)]
    name = f"{url.database or 'nightlabel'}_utf8"
    return shlex.join(["createdb", *given, "--template=template0", "--encoding=UTF8", "--locale=C", name])
