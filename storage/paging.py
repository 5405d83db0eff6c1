"""Millions of rows, some at a time, as the driver has them: SQLAlchemy's own take longer to make than what is done with
them.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from storage.errors import as_sqlalchemy

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection, Select

    Rows = list[tuple[Any, ...]]

#: Rows that the driver makes at a time: so few stay in the CPU's cache, and no garbage collection meets them.
_FETCHED_ROWS = 500


def pages(connection: Connection, query: Select[Any], rows: int) -> Iterator[list[list[Any]]]:
    """Yield the columns of what a query finds, about so many rows at a time."""
    columns: list[list[Any]] = [[] for _ in query.selected_columns]
    with _fetched(connection, query, rows) as fetched:
        for some in fetched:
            for column, values in zip(columns, zip(*some, strict=True), strict=True):
                column.extend(values)
            if len(columns[0]) >= rows:
                yield columns
                columns = [[] for _ in columns]
    if columns[0]:
        yield columns


def numbers(connection: Connection, query: Select[Any], rows: int) -> Iterator[NDArray[np.float64]]:
    """Yield the numbers that a query finds, float64 [rows, columns], at most so many rows at a time; NULL is NaN."""
    import numpy as np  # a tenth of a second, which other commands need not wait

    page = np.empty((rows, len(query.selected_columns)))
    filled = 0
    with _fetched(connection, query, rows) as fetched:
        for some in fetched:
            if filled + len(some) > rows:
                yield page[:filled].copy()
                filled = 0
            page[filled : filled + len(some)] = np.array(some, np.float64)  # None becomes NaN
            filled += len(some)
    if filled:
        yield page[:filled]


@contextmanager
def _fetched(connection: Connection, query: Select[Any], rows: int) -> Iterator[Generator[Rows]]:
    statement = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    is_sqlite = connection.dialect.name == "sqlite"
    driver: Any = connection.connection.driver_connection
    some_rows = closing(_some_rows(driver, statement, min(rows, _FETCHED_ROWS), is_sqlite=is_sqlite))
    with as_sqlalchemy(connection, statement), some_rows as fetched:
        yield fetched


def _some_rows(driver: Any, statement: str, count: int, *, is_sqlite: bool) -> Generator[Rows]:  # noqa: ANN401 - either
    with closing(driver.cursor()) as cursor:
        if is_sqlite:
            cursor.execute(statement)
            while some := cursor.fetchmany(count):
                yield some
            return
        # As they come, without a turn for each few, and as binaries, which need no parsing. Source: psycopg's
        # manual, `Cursor.stream` and «Binary parameters and results».
        with closing(cursor.stream(statement, binary=True, size=count)) as stream:
            while some := list(islice(stream, count)):
                yield some
