"""Connecting, transactions, and turning a driver's errors into sentences."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    URL,
    Connection,
    Executable,
    event,
    func,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from common.errors import UsageError
from common.urls import redact, scrub
from storage.connecting import connect_postgres, connect_sqlite, parse_url
from storage.errors import translate_error
from storage.paging import numbers, pages
from storage.records import shown
from storage.sent_rows import bound, table_of
from storage.time_limits import time_limit
from storage.upserts import for_driver, insert_into, parameters, upsert, upsert_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import FromClause, Insert, Select, Table

    from storage.sqlite_file import SqliteFile

#: How bash and zsh write bytes that a terminal cannot show, and those that would end what they stand in.
_ESCAPED = {byte: f"\\x{byte:02x}" for byte in (*range(32), *range(127, 256), *b"\\'")}


class Database:
    """One process's way to the database. Never carried over a fork: every process makes its own."""

    def __init__(self, url: str, *, must_exist: bool = False) -> None:
        try:
            self._text = url
            self.url: URL = parse_url(url)
            self._backend = self.url.get_backend_name()
            self._file: SqliteFile | None = None
            if self.is_sqlite:
                self._engine, self._file = connect_sqlite(self.url, must_exist=must_exist)
            else:
                self._engine = connect_postgres(self.url)
            # SQLite has one writer, and lets another sleep and look again; threads of one process need not.
            self._turn = Lock() if self.is_sqlite else nullcontext()
            # Building them takes longer than running them.
            self._upsert_rows, self._upsert_each = cache(self._build_upsert_rows), cache(self._build_upsert_each)
        except (ArgumentError, ValueError, ImportError, OSError) as error:
            reason = "" if isinstance(error, ValueError) else f": {scrub(str(error).splitlines()[0], url)}"
            raise UsageError(f"NIGHTLABEL_DATABASE_URL = {redact(url)!r} is no URL to connect to{reason}.") from None

    @property
    def shown(self) -> str:
        """The database's name for people, without a password."""
        if self.is_sqlite:
            return shown(self.url.database or ":memory:")
        # The driver is ours, not the user's.
        return f"{self._backend}://{redact(self._text).partition('://')[2]}"

    @property
    def shell_word(self) -> str:
        """The database's name, as `sqlite3` or `psql` is given it in a shell."""
        if not self.is_sqlite:
            return shlex.quote(self.shown)
        name = self.url.database or ":memory:"
        if name.startswith(("-", "file:")) or (name.startswith(":") and self._file):
            name = f"./{name}"  # else it is an option, a URL or no file to sqlite3
        if name.isprintable():
            return shlex.quote(name)
        return "$'" + "".join(_ESCAPED.get(byte, chr(byte)) for byte in os.fsencode(name)) + "'"

    @property
    def is_missing(self) -> bool:
        """Whether it is a file, and there is none."""
        return self._file is not None and not os.path.exists(self._file.path)

    @property
    def file(self) -> str | None:
        """The whole name of SQLite's file, as `os` takes it; None: it lies in memory, or on a server."""
        return self._file.path if self._file else None

    @property
    def is_sqlite(self) -> bool:
        return self._backend == "sqlite"

    @contextmanager
    def read(self, *, time_limit_s: float | None = None) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database and blocks nobody.

        Args:
            time_limit_s: seconds that its statements may take, as `time_limit` has it. None: as long as they take.

        Raises:
            QueryTimeoutError: a statement took longer, and was stopped.

        """
        with self._translated(), self._engine.connect() as connection:
            if not self.is_sqlite:  # where each statement would see a state of its own
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin(), time_limit(connection, time_limit_s):
                yield connection

    @contextmanager
    def apart(self, **options: Any) -> Iterator[Connection]:  # noqa: ANN401 - of SQLAlchemy's `execution_options`
        """Open a connection that nobody gets afterwards: what a session keeps ends with it."""
        with self._translated(), self._engine.connect() as connection:
            connection.execution_options(**options)
            connection.detach()
            yield connection

    def pages(self, query: Select[Any], rows: int) -> Iterator[list[list[Any]]]:
        """Yield the columns of what a query finds, about so many rows at a time, as the driver has them.

        SQLAlchemy's own rows take longer to make, of a million, than all that is done with them.
        """
        with self.read() as connection:
            yield from pages(connection, query, rows)

    def numbers(self, query: Select[Any], rows: int) -> Iterator[NDArray[np.float64]]:
        """Yield what a query of numbers finds, float64 [rows, columns], at most so many rows at a time; NULL is NaN.

        In half of the time that it takes to make columns of them by way of lists.
        """
        with self.read() as connection:
            yield from numbers(connection, query, rows)

    @contextmanager
    def write(self, *, lasting: bool = True, small: bool = False) -> Iterator[Connection]:
        """Open a transaction that commits when the block ends, and rolls back when it raises.

        Args:
            lasting: a power cut does not roll it back afterwards. Without that, SQLite need not wait for the disk.
            small: all that it changes fits into memory. Then SQLite writes it to the disk once, and not twice.

        """
        options = {"nightlabel_write": True, "nightlabel_lasting": lasting, "nightlabel_small": small}
        with (
            self._turn,
            self._translated(),
            self._engine.connect() as connection,
            connection.execution_options(**options).begin(),
        ):
            yield connection
            if self._file:
                self._file.check_commit(connection.connection.info)

    def now(self, connection: Connection) -> datetime:
        """Return the time by the database's clock, which all hosts share: each one's own may be hours off."""
        if self.is_sqlite:  # its clock is this host's, and so are all of its users
            return datetime.now(UTC)
        now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return now.astimezone(UTC)

    def clock(self) -> datetime:
        """Return the time by the database's clock."""
        with self.read() as connection:
            return self.now(connection)

    def insert_or_keep(self, table: Table, key: tuple[str, ...]) -> Executable:
        """Return an INSERT that leaves a row alone where the `key` is there already."""
        return insert_into(table, self._backend).on_conflict_do_nothing(index_elements=list(key))  # type: ignore[no-any-return]

    def upsert_rows(
        self,
        connection: Connection,
        table: Table,
        key: tuple[str, ...],
        update: tuple[str, ...],
        columns: tuple[str, ...],
        rows: Mapping[str, Any],
        **shared: Any,  # noqa: ANN401 - values of columns
    ) -> int:
        """Insert rows, one or more, `bound` with the `columns`, each with the `shared` values besides; return how many.

        Where the `key` is there already, the `update` columns are updated; with none to update, the row is left alone,
        and not counted.
        """
        statement = self._upsert_rows(table, key, update, columns, *shared)
        options = {"preserve_rowcount": True}  # else only told of an UPDATE or a DELETE
        return connection.execute(statement, {**rows, **shared}, execution_options=options).rowcount

    def upsert_each(
        self,
        connection: Connection,
        table: Table,
        key: tuple[str, ...],
        update: tuple[str, ...],
        columns: tuple[str, ...],
        rows: Sequence[tuple[Any, ...]],
        **shared: Any,  # noqa: ANN401 - values of columns
    ) -> None:
        """Do the same with rows that are not `bound`, as numbers and texts: the fastest way to many wide ones.

        SQLite takes a third of the time to have each row's values bound that it takes to find them in JSON; a server,
        which would be sent each row by itself, gets arrays.
        """
        if not self.is_sqlite:
            self.upsert_rows(connection, table, key, update, columns, self.bound(columns, rows), **shared)
            return
        common = for_driver(table, shared, self._engine.dialect)
        statement = self._upsert_each(table, key, update, columns, *shared)
        connection.exec_driver_sql(statement, [(*row, *common) for row in rows])

    def upsert_from(
        self,
        table: Table,
        key: tuple[str, ...],
        update: tuple[str, ...],
        columns: tuple[str, ...],
        values: Select[*tuple[Any, ...]],
    ) -> Insert:
        """Return an INSERT of what a SELECT finds; what it does where the `key` is there, `upsert_rows` says."""
        return upsert_from(self._backend, table, key, update, columns, values)

    def table_of(self, table: Table, columns: tuple[str, ...], *, with_place: bool = False) -> FromClause:
        """Return rows of numbers and texts, with some of a table's columns, as something to select from.

        `bound` gives the parameters that they are sent in. With `with_place`, they are numbered from 0, as `place`.
        """
        return table_of(self.is_sqlite, table, columns, with_place=with_place)

    def bound(self, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """Return the parameters that fill the `table_of` these columns, with these rows."""
        return bound(self.is_sqlite, columns, rows)

    def check_connections(self, check: Callable[[Any], None]) -> None:
        """Have the connection checked, as the driver has it, before each transaction from here on."""
        event.listen(self._engine, "checkout", lambda connection, _, __: check(connection))

    def close(self) -> None:
        self._engine.dispose()

    def _build_upsert_rows(
        self, table: Table, key: tuple[str, ...], update: tuple[str, ...], columns: tuple[str, ...], *shared: str
    ) -> Insert:
        own = dict(self.table_of(table, columns).c)
        return upsert(self._backend, table, key, update, own | parameters(table, shared))

    def _build_upsert_each(
        self, table: Table, key: tuple[str, ...], update: tuple[str, ...], columns: tuple[str, ...], *shared: str
    ) -> str:
        statement = upsert(self._backend, table, key, update, parameters(table, [*columns, *shared]))
        return str(statement.compile(dialect=self._engine.dialect))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (StatementError, PoolTimeoutError, UnicodeError, OverflowError) as error:
            raise translate_error(error, self.shown, self.reason(error)) from error

    def reason(self, error: Exception) -> str:
        """Return what a driver says, without the URL's secrets."""
        said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        return scrub(said.splitlines()[0], self._text)


def current_schema(connection: Connection) -> str | None:
    """Return the schema in which Postgres makes tables: the first of the search path that there is."""
    if connection.dialect.name != "postgresql":
        return None
    schema: str | None = connection.execute(select(func.current_schema())).scalar()
    return schema


def lock_schema(connection: Connection) -> None:
    """Keep every other process from creating or migrating the schema until this transaction ends."""
    if connection.dialect.name == "postgresql":  # on SQLite, BEGIN IMMEDIATE did it
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('nightlabel schema'))"))
