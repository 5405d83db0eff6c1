"""What a driver's error means: whether waiting cures it, whether one value is the cause, and what does cure it.

Judged by the codes of SQLite and Postgres. What they say of it is for people, is translated, and changes.
https://sqlite.org/rescode.html · PostgreSQL's manual, «PostgreSQL Error Codes»
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from common.errors import DatabaseBusyError, DatabaseError, DatabaseRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Connection

_SPACE = "Free some space and run the same command again; nothing is lost."
_OPEN = "Does its folder exist, and may this user write to it? NIGHTLABEL_DATABASE_URL or --db names another."
_WRITE = "May this user write to the file and its folder?"
_BACKUP = "Name another file, or restore this one from a backup."
_DISK = "Is the disk healthy, and local? SQLite does not work over a network."
_PRIVILEGES = (
    "Let the role own the database, or grant it what it lacks: CREATE on its schema, to make the tables; SELECT, INSERT"
    " and UPDATE on them, and DELETE on image_things, to label."
)
_READ_ONLY = "Is it a standby? Name the server that takes writes with --db or NIGHTLABEL_DATABASE_URL."
_NAME = "Is NIGHTLABEL_DATABASE_URL (or --db) right?"
_POOLER = (
    "pgbouncer passes no options on: give them to the role, as in ALTER ROLE … SET search_path = …, and leave them out"
    " of the URL."
)
_STATEMENTS = "Set pool_mode to transaction or session in pgbouncer: a chunk is stored whole or not at all."
_ENCODING = "Name a database in UTF-8: createdb --template=template0 --encoding=UTF8 --locale=C NAME"
_SERVER = "Its log says more."
_WHEN_TRANSIENT = "Is NIGHTLABEL_DATABASE_URL (or --db) right, and is the server up?"

#: Primary result codes of SQLite that waiting does not cure, and what does.
_SQLITE_PERMANENT = {
    sqlite3.SQLITE_FULL: _SPACE,
    sqlite3.SQLITE_CANTOPEN: _OPEN,
    sqlite3.SQLITE_READONLY: _WRITE,
    sqlite3.SQLITE_PERM: _WRITE,
    sqlite3.SQLITE_AUTH: _WRITE,
    sqlite3.SQLITE_NOTADB: _BACKUP,
    sqlite3.SQLITE_CORRUPT: _BACKUP,
    sqlite3.SQLITE_IOERR: _DISK,
}
#: Another process has it; PROTOCOL: too many began to read at once.
_SQLITE_TRANSIENT = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL))
#: A value is too long, of another type than the column, or breaks a rule of the table.
_SQLITE_REFUSED = frozenset(
    (sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_RANGE)
)

#: Postgres' codes, by how they begin, the longest first. Connections, deadlocks, locks, too many clients, memory, a
#: server that stops or starts, and statements that took too long: another try may go well.
_POSTGRES_TRANSIENT = (
    *("08", "40000", "40001", "40003", "40P01", "53200", "53300", "55006", "55P03"),
    *("57014", "57P01", "57P02", "57P03", "57P05", "25P03"),
)
#: Values that are no values of their column, that break a rule, or are larger than Postgres can hold or index.
_POSTGRES_REFUSED = ("22", "23", "54")
_POSTGRES_PERMANENT = (
    ("53100", _SPACE),
    ("42501", _PRIVILEGES),
    ("25006", _READ_ONLY),
    ("28", _NAME),
    ("3D000", _NAME),
    ("57P04", _NAME),
    ("3F000", "Create the schema that its search_path names: CREATE SCHEMA …"),
    (
        "42P07",
        "Another program's tables have its names: give nightlabel a schema of its own (docs/several-hosts.md).",
    ),
    ("58", "Is the server's disk healthy?"),
    ("XX001", "Restore it from a backup."),
    ("XX002", "Type REINDEX DATABASE … in psql."),
)
#: libpq keeps no code of a connection that did not come about, and pgbouncer has one code for everything: then, and
#: only then, the words must do. In another language, such an error is taken for an outage.
_NO_CODE = (None, "08P01")
_CONNECTION_PERMANENT = (
    ("unsupported startup parameter", _POOLER),
    ("statement pooling", _STATEMENTS),
    ("conversion between", _ENCODING),
    ("authentication failed", _NAME),
    ("does not exist", _NAME),
    ("no such database", _NAME),
    ("no such user", _NAME),
    ("no pg_hba.conf entry", _NAME),
    ("permission denied", _PRIVILEGES),
    ("not permitted to log in", _NAME),
    ("no password supplied", _NAME),
    ("invalid connection option", _NAME),
    ("certificate verify failed", _NAME),
)

#: What is about the statement: syntax and names (SCHEMA: looked up twice), a write where only reading is allowed, too
#: much of something.
_SQLITE_STATEMENT = frozenset(
    (
        *(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_AUTH),
        *(sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH),
    )
)
#: The same of Postgres: a feature that is not there, a subquery of several rows, a value, a write in a transaction that
#: reads, syntax and names, too much of something.
_POSTGRES_STATEMENT = ("0A", "21", "22", "25006", "42", "54")


class _Verdict(NamedTuple):
    kind: type[DatabaseError]
    advice: str


def translate_error(error: Exception, shown: str, reason: str) -> DatabaseError:
    """Return the error to raise instead of one that a driver or SQLAlchemy raised, whose `reason` has no secrets."""
    kind, advice = _verdict(error)
    if kind is DatabaseBusyError:
        return DatabaseBusyError(f"The database {shown} does not answer: {reason}. {advice}")
    if kind is DatabaseRefusedError:
        return DatabaseRefusedError(f"The database {shown} does not take a value: {reason}.")
    return DatabaseError(f"The database {shown}: {reason}. {advice}")


def is_refusal(error: BaseException | None) -> bool:
    """Say whether a driver's error is about what the statement says, and not about a file, a disk or a network."""
    if isinstance(error, sqlite3.ProgrammingError):
        return True
    if isinstance(error, sqlite3.Error):
        code: int | None = getattr(error, "sqlite_errorcode", None)  # None: the driver itself found it
        return code is not None and code & 0xFF in _SQLITE_STATEMENT  # the rest says more of it
    state: str | None = getattr(error, "sqlstate", None)
    return state is not None and state.startswith(_POSTGRES_STATEMENT)


@contextmanager
def as_sqlalchemy(connection: Connection, statement: str) -> Iterator[None]:
    """Have what the driver itself raises come as what SQLAlchemy makes of it."""
    errors = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except errors as error:
        raise DBAPIError.instance(statement, None, error, errors, dialect=connection.dialect) from error


def _verdict(error: Exception) -> _Verdict:
    if isinstance(error, PoolTimeoutError):
        return _Verdict(DatabaseBusyError, _WHEN_TRANSIENT)
    if not isinstance(error, DBAPIError):  # a value that never got as far as the database: not UTF-8, or out of range
        return _Verdict(DatabaseRefusedError, "")
    return _of_driver(error)


def _of_driver(error: DBAPIError) -> _Verdict:
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return _sqlite(code & 0xFF)
    state: str | None = getattr(error.orig, "sqlstate", None)
    if isinstance(error, OperationalError) and state in _NO_CODE:
        return _connection(str(error.orig))
    if state is not None:
        return _postgres(state)
    if isinstance(error, DataError | IntegrityError):  # found by the driver itself
        return _Verdict(DatabaseRefusedError, "")
    if error.connection_invalidated:
        return _Verdict(DatabaseBusyError, _WHEN_TRANSIENT)
    return _Verdict(DatabaseError, _advice(_CONNECTION_PERMANENT, str(error.orig).__contains__) or _SERVER)


def _sqlite(code: int) -> _Verdict:
    if code in _SQLITE_TRANSIENT:
        return _Verdict(DatabaseBusyError, _WHEN_TRANSIENT)
    if code in _SQLITE_REFUSED:
        return _Verdict(DatabaseRefusedError, "")
    return _Verdict(DatabaseError, _SQLITE_PERMANENT.get(code, "Is it a database of nightlabel's?"))


def _postgres(state: str) -> _Verdict:
    if state.startswith(_POSTGRES_TRANSIENT):
        return _Verdict(DatabaseBusyError, _WHEN_TRANSIENT)
    if state.startswith(_POSTGRES_REFUSED):
        return _Verdict(DatabaseRefusedError, "")
    return _Verdict(DatabaseError, _advice(_POSTGRES_PERMANENT, state.startswith) or _SERVER)


def _connection(reason: str) -> _Verdict:
    advice = _advice(_CONNECTION_PERMANENT, reason.__contains__)
    return _Verdict(DatabaseError, advice) if advice else _Verdict(DatabaseBusyError, _WHEN_TRANSIENT)


def _advice(table: Iterable[tuple[str, str]], matches: Callable[[str], bool]) -> str | None:
    return next((advice for sign, advice in table if matches(sign)), None)
