"""Read `results` page by page, for files of other programs."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from common.errors import UsageError
from storage.errors import is_refusal

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from sqlalchemy import Connection

    from storage.database import Database

#: Rows that are in memory at a time.
PAGE_ROWS = 10_000
#: The columns of `results`, and what each holds.
COLUMNS: dict[str, type] = {
    **dict.fromkeys(("path", "model", "precision", "weights", "status"), str),
    **{f"{part}_{rank}": kind for rank in (1, 2, 3) for part, kind in (("label", str), ("score", float))},
    **dict.fromkeys(("error_kind", "error"), str),
    **dict.fromkeys(("width", "height", "size_bytes"), int),
    "content": str,
    **dict.fromkeys(("queue_ms", "read_ms", "decode_ms", "infer_ms", "total_ms"), float),
    "worker": str,
    "run_id": int,
    "labelled_at": datetime,
    "modified_at": datetime,
    "image_id": int,
    "warning": str,
    "kind": str,
    "kind_score": float,
    "label": str,
    "label_source": str,
    "computed_in": str,
    "copied_from": str,
}


def result_pages(database: Database, where: str | None = None) -> Generator[Sequence[Sequence[Any]], None, None]:
    """Yield the rows of `results` that a condition holds for, in no particular order, as values of `COLUMNS`.

    The condition is the user's own SQL, on the user's own database; the transaction can change nothing.

    Raises:
        UsageError: the database makes no sense of the condition.
        DatabaseError: the database cannot be read, whatever the condition.

    """
    instants = [place for place, kind in enumerate(COLUMNS.values()) if kind is datetime]
    with _reading_only(database) as connection, _blaming(where):
        statement, parameters = _statement(database, where)
        result = connection.execution_options(yield_per=PAGE_ROWS).exec_driver_sql(statement, parameters)
        try:
            for rows in result.partitions(PAGE_ROWS):
                yield [_with_instants(row, instants) for row in rows]
        finally:
            if not database.is_sqlite:  # a cursor of the server is to be closed, wherever the reading ends
                result.close()


@contextmanager
def _blaming(where: str | None) -> Iterator[None]:
    """Say of a condition that it makes no sense, where it is what the database refuses."""
    try:
        yield
    except DBAPIError as error:
        if not where or not is_refusal(error.orig):
            raise
        reason = str(error.orig).strip().splitlines()[0]
    except UnicodeEncodeError:
        reason = "it is not UTF-8"
    else:
        return
    raise UsageError(f"The condition {where!r} cannot be used: {reason}. The columns are: {', '.join(COLUMNS)}.")


@contextmanager
def _reading_only(database: Database) -> Iterator[Connection]:
    with database.read() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA query_only = ON")
        else:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        try:
            yield connection
        finally:
            if database.is_sqlite and not connection.invalidated:  # by Ctrl-C; then it is closed
                connection.exec_driver_sql("PRAGMA query_only = OFF")


def _statement(database: Database, where: str | None) -> tuple[str, tuple[Any, ...]]:
    """Return one statement and its parameters.

    There always is a parameter: with one, Postgres takes no second statement after a semicolon, as SQLite never does.
    """
    mark = "?" if database.is_sqlite else "%s"
    condition = (where or "1 = 1") if database.is_sqlite else (where or "1 = 1").replace("%", "%%")
    return (
        f"SELECT {', '.join(COLUMNS)} FROM results WHERE ({condition}\n) AND 1 = {mark}",  # noqa: S608 - see above
        (1,),
    )


def _with_instants(row: Sequence[Any], places: Sequence[int]) -> list[Any]:
    values = list(row)
    for place in places:
        values[place] = _instant(values[place])
    return values


def _instant(value: str | datetime | None) -> datetime | None:
    """Return an instant in UTC: SQLite keeps it as text, without a zone."""
    if value is None:
        return None
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value.astimezone(UTC)
