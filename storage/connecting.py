"""Opening a connection: what each kind of database is told before the first statement."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from common.errors import UsageError
from storage.records import shown
from storage.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from collections.abc import Callable

#: A writer waits this long for another one. A chunk's transaction takes milliseconds, a migration seconds.
SQLITE_BUSY_TIMEOUT_S = 30

#: `PRAGMA synchronous`: whether a commit waits for the disk. What does not can be rolled back by a power cut, with all
#: that nobody waited for, and leaves the file whole. https://sqlite.org/pragma.html#pragma_synchronous
_LASTING, _PASSING = "FULL", "NORMAL"
#: `PRAGMA temp_store`: where a statement keeps what it needs to take itself back, the old pages, and what it sorts.
_IN_FILES, _IN_MEMORY = "DEFAULT", "MEMORY"
#: KiB of pages that a connection keeps. The pages that a chunk changes in a large database take 3 MB: with SQLite's own
#: 2 MB they are written down and read again before the commit.
_CACHE_KIB = 8_000

#: Postgres is given up on after this long without an answer to a connection attempt.
POSTGRES_CONNECT_TIMEOUT_S = 10
#: What libpq is told, unless the URL says otherwise: a server whose host has vanished is given up on within a minute,
#: and not after the quarter of an hour, or the two hours, that Linux waits. Kernels answer these probes, so no query is
#: too slow for them. In seconds but for the last, in milliseconds. PostgreSQL's manual, «Parameter Key Words»
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}


def parse_url(url: str) -> URL:
    """Return a URL's parts; of SQLite's, the name may hold bytes that are not UTF-8."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return parsed
    name = url.partition("://")[2].removeprefix("/").partition("?")[0]
    return URL.create(parsed.drivername, database=unquote(name, errors="surrogateescape"), query=parsed.query)


def connect_postgres(url: URL) -> Engine:
    """Return an engine on Postgres, or on a pgbouncer before it, which lends another connection to each transaction."""
    options: dict[str, Any] = {
        "connect_timeout": POSTGRES_CONNECT_TIMEOUT_S,
        # Statements that are prepared on one connection are not there on the next, or are somebody else's.
        "prepare_threshold": None,
        # Else PGCLIENTENCODING or the role's own setting decides which paths can be sent.
        "client_encoding": "utf8",
        **{name: value for name, value in _KEEPALIVE.items() if name not in url.query},
    }
    return create_engine(url, pool_pre_ping=True, connect_args=options)


def connect_sqlite(url: URL, *, must_exist: bool) -> tuple[Engine, SqliteFile | None]:
    """Return an engine on a SQLite file, and that file; None: it lies in memory.

    One that `must_exist` is not made anew where it is gone: beside its log, SQLite would remove the log.
    """
    path = _whole_path(url.database) if url.database else None  # before SQLAlchemy asks for the current folder
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    if path is None or url.database == ":memory:" or url.query.get("uri"):
        return engine, None
    file = SqliteFile(path, must_exist=must_exist)
    event.listen(engine, "do_connect", _open(file))
    event.listen(engine, "connect", lambda _, record: file.remember(record.info))
    event.listen(engine, "checkout", lambda _, record, __: file.check_unchanged(record.info))
    return engine, file


def _whole_path(name: str) -> str:
    if os.path.isabs(name):
        return name
    try:
        return os.path.join(os.getcwd(), name)
    except FileNotFoundError:
        raise UsageError(
            f"The current folder is no more, so {shown(name)} is nowhere. Name the database by its whole path, with"
            " --db or NIGHTLABEL_DATABASE_URL."
        ) from None


def _open(file: SqliteFile) -> Callable[..., None]:
    def open_exactly(_dialect: object, _record: object, arguments: list[Any], _options: object) -> None:
        """Have the driver open the file as it was named: SQLAlchemy would take `..` away, past a link."""
        file.check_exists()
        arguments[0] = file.path

    return open_exactly


def _configure(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    connection.isolation_level = None  # the driver must not begin transactions: _begin does
    cursor = connection.cursor()
    _use_wal(cursor)
    cursor.execute(f"PRAGMA synchronous={_LASTING}")
    cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    _tell(connection, "temp_store", _IN_MEMORY if options.get("nightlabel_small") else _IN_FILES)
    if not options.get("nightlabel_write"):
        connection.exec_driver_sql("BEGIN")
        return
    _tell(connection, "synchronous", _LASTING if options.get("nightlabel_lasting", True) else _PASSING)
    # A plain BEGIN that reads first and writes later fails at once where another writer came between,
    # whatever the timeout; IMMEDIATE waits its turn. https://sqlite.org/lang_transaction.html
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _tell(connection: Connection, pragma: str, value: str) -> None:
    """Set a pragma that no transaction can set, where this connection does not have it so already."""
    if connection.info.get(pragma) != value:
        connection.exec_driver_sql(f"PRAGMA {pragma}={value}")
        connection.info[pragma] = value


def _use_wal(cursor: Any) -> None:  # noqa: ANN401 - a DBAPI cursor
    """Switch to WAL, where readers never wait for a writer. Unlike a statement, the switch has no busy timeout."""
    deadline = time.monotonic() + SQLITE_BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
