"""Connecting, transactions, and turning a driver's errors into sentences."""

from __future__ import annotations

import json
import os
import shlex
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sqlalchemy import (
    ARRAY,
    URL,
    Connection,
    Executable,
    Text,
    bindparam,
    event,
    func,
    literal_column,
    make_url,
    select,
    text,
    type_coerce,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from common.errors import UsageError
from common.urls import redact, scrub
from storage.connecting import connect_postgres, connect_sqlite
from storage.errors import translate_error
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from sqlalchemy import FromClause, Insert, Select, Table

    from storage.sqlite_file import SqliteFile

#: Rows of a page that the driver makes at a time.
_FETCHED_ROWS = 500

#: How bash and zsh write bytes that a terminal cannot show, and those that would end what they stand in.
_ESCAPED = {byte: f"\\x{byte:02x}" for byte in (*range(32), *range(127, 256), *b"\\'")}


class Database:
    """One process's way to the database. Never carried over a fork: every process makes its own."""

    def __init__(self, url: str, *, must_exist: bool = False) -> None:
        try:
            self._text = url
            self.url: URL = _parsed(url)
            self._file: SqliteFile | None = None
            if self.is_sqlite:
                self._engine, self._file = connect_sqlite(self.url, must_exist=must_exist)
            else:
                self._engine = connect_postgres(self.url)
            # SQLite has one writer, and lets another sleep and look again; threads of one process need not.
            self._turn = Lock() if self.is_sqlite else nullcontext()
            self._upsert_rows = cache(self._build_upsert_rows)  # building it takes longer than running it
        except (ArgumentError, ValueError, ImportError, OSError) as error:
            reason = "" if isinstance(error, ValueError) else f": {scrub(str(error).splitlines()[0], url)}"
            raise UsageError(f"NIGHTLABEL_DATABASE_URL = {redact(url)!r} is no URL to connect to{reason}.") from None

    @property
    def shown(self) -> str:
        """The database's name for people, without a password."""
        if self.is_sqlite:
            return shown(self.url.database or ":memory:")
        # The driver is ours, not the user's.
        return f"{self.url.get_backend_name()}://{redact(self._text).partition('://')[2]}"

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
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database and blocks nobody."""
        with self._translated(), self._engine.connect() as connection:
            if not self.is_sqlite:  # where each statement would see a state of its own
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def pages(self, query: Select[Any], rows: int) -> Iterator[list[list[Any]]]:
        """Yield the columns of what a query finds, about so many rows at a time, as the driver has them.

        SQLAlchemy's own rows take longer to make, of a million, than all that is done with them.
        """
        with self.read() as connection:
            errors = connection.dialect.loaded_dbapi.Error
            statement = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
            driver: Any = connection.connection.driver_connection
            columns: list[list[Any]] = [[] for _ in query.selected_columns]
            try:
                with closing(self._some_rows(driver, statement, min(rows, _FETCHED_ROWS))) as fetched:
                    for some in fetched:
                        for column, values in zip(columns, zip(*some, strict=True), strict=True):
                            column.extend(values)
                        if len(columns[0]) >= rows:
                            yield columns
                            columns = [[] for _ in columns]
            except errors as error:
                raise DBAPIError.instance(statement, None, error, errors, dialect=connection.dialect) from error
        if columns[0]:
            yield columns

    def _some_rows(self, driver: Any, statement: str, count: int) -> Generator[list[tuple[Any, ...]]]:  # noqa: ANN401 - either one's
        """Yield rows, so few at a time that they stay in the CPU's cache and no garbage collection meets them."""
        with closing(driver.cursor()) as cursor:
            if self.is_sqlite:
                cursor.execute(statement)
                while some := cursor.fetchmany(count):
                    yield some
                return
            # As they come, without a turn for each few, and as binaries, which need no parsing. Source: psycopg's
            # manual, `Cursor.stream` and «Binary parameters and results».
            with closing(cursor.stream(statement, binary=True, size=count)) as stream:
                while some := list(islice(stream, count)):
                    yield some

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that commits when the block ends, and rolls back when it raises."""
        with (
            self._turn,
            self._translated(),
            self._engine.connect() as connection,
            connection.execution_options(nightlabel_write=True).begin(),
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
        return self._insert(table).on_conflict_do_nothing(index_elements=list(key))  # type: ignore[no-any-return]

    def upsert_rows(
        self,
        connection: Connection,
        table: Table,
        key: tuple[str, ...],
        update: tuple[str, ...],
        columns: tuple[str, ...],
        rows: Mapping[str, Any],
        **shared: Any,  # noqa: ANN401 - values of columns
    ) -> None:
        """Insert rows, one or more, `bound` with the `columns`, each with the `shared` values besides.

        Where the `key` is there already, the `update` columns are updated.
        """
        connection.execute(self._upsert_rows(table, key, update, columns, tuple(shared)), {**rows, **shared})

    def table_of(self, table: Table, columns: tuple[str, ...]) -> FromClause:
        """Return rows of numbers and texts, with some of a table's columns, as something to select from.

        `bound` gives the parameter in which they are sent, as JSON, or as an array a column: a parameter a value
        costs SQLAlchemy and the driver more than the database's own work on it. Sources:
        https://sqlite.org/json1.html#jeach; PostgreSQL's manual, «unnest».
        """
        kinds = {name: table.c[name].type for name in columns}
        if self.is_sqlite:
            each = func.json_each(bindparam("rows", type_=Text())).table_valued("value")
            values = (func.json_extract(each.c.value, f"$[{place}]") for place in range(len(columns)))
            named = zip(values, kinds.items(), strict=True)
            return select(*(type_coerce(value, kind).label(name) for value, (name, kind) in named)).subquery()
        arrays = (bindparam(f"rows_{name}", type_=ARRAY(kind)) for name, kind in kinds.items())
        return func.unnest(*arrays).table_valued(*columns).render_derived()

    def bound(self, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """Return the parameters that fill the `table_of` these columns, with these rows."""
        if self.is_sqlite:
            return {"rows": json.dumps(rows, ensure_ascii=False)}
        return {f"rows_{name}": list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}

    def check_connections(self, check: Callable[[Any], None]) -> None:
        """Have the connection checked, as the driver has it, before each transaction from here on."""
        event.listen(self._engine, "checkout", lambda connection, _, __: check(connection))

    def close(self) -> None:
        self._engine.dispose()

    def _build_upsert_rows(
        self,
        table: Table,
        key: tuple[str, ...],
        update: tuple[str, ...],
        columns: tuple[str, ...],
        shared: tuple[str, ...],
    ) -> Insert:
        source = self.table_of(table, columns)
        constants = (bindparam(name, type_=table.c[name].type).label(name) for name in shared)
        # WHERE: without it, SQLite takes ON CONFLICT for a join's ON. https://sqlite.org/lang_upsert.html
        values = select(*source.c, *constants).where(literal_column("true"))
        insert = self._insert(table).from_select([*columns, *shared], values)
        return insert.on_conflict_do_update(  # type: ignore[no-any-return]
            index_elements=table.info.get(f"{self.url.get_backend_name()}_key", key),
            set_={name: insert.excluded[name] for name in update},
        )

    def _insert(self, table: Table) -> Any:  # noqa: ANN401 - either dialect's INSERT … ON CONFLICT
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert as insert_sqlite

            return insert_sqlite(table)
        from sqlalchemy.dialects.postgresql import insert as insert_postgres

        return insert_postgres(table)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (StatementError, PoolTimeoutError, UnicodeError, OverflowError) as error:
            said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
            raise translate_error(error, self.shown, scrub(said.splitlines()[0], self._text)) from error


def _parsed(url: str) -> URL:
    """Return a URL's parts; of SQLite's, the name may hold bytes that are not UTF-8."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return parsed
    name = url.partition("://")[2].removeprefix("/").partition("?")[0]
    return URL.create(parsed.drivername, database=unquote(name, errors="surrogateescape"), query=parsed.query)


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
