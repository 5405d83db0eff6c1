"""One query of a person's own on Postgres: in a transaction that reads, and by no function that acts outside of it."""

from __future__ import annotations

import re
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.exc import DBAPIError

from common.errors import UsageError
from storage.answered import Answered, refused
from storage.errors import as_sqlalchemy, is_refusal
from storage.time_limits import time_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.answered import Limits, Value
    from storage.database import Database

#: Until the transaction ends, so that a pgbouncer lends nobody a session that was told so. A query does not wait for
#: locks, takes one of the server's processes, and tells times as `docs/sql.md` has them.
_SESSION = """
SET LOCAL lock_timeout = '1s';
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL standard_conforming_strings = on;
SET LOCAL time zone 'UTC';
SET LOCAL datestyle = 'ISO'
"""
#: A read-only transaction forbids commands, but no function: one that is VOLATILE may end other sessions, take locks
#: that outlive the transaction, read and write the server's files, or run a text as SQL. These do nothing of the kind.
_HARMLESS = (
    *("random", "gen_random_uuid", "clock_timestamp", "timeofday", "current_query"),
    *("pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size", "pg_database_size"),
)
#: Finds which of some words, cut as names are, name volatile functions that SQL can call: not with `internal` values.
_VOLATILE = """
SELECT proname FROM pg_proc
WHERE provolatile = 'v' AND proname = ANY(%(words)s::name[]) AND NOT 'internal'::regtype = ANY(proargtypes)
  AND NOT (pronamespace = 'pg_catalog'::regnamespace AND proname = ANY(%(harmless)s))
ORDER BY proname LIMIT 1
"""
#: What may be a name, wherever it stands: in quotes, in a text that becomes SQL, in a comment.
_WORD = re.compile(r"[^\W\d][\w$]*")
#: A name, of which any letter may be written as its number.
_ESCAPED_NAME = re.compile(r'u&"', re.IGNORECASE)
#: What a query consists of. A text that does not end goes on to the query's end, and Postgres says so.
_PIECE = re.compile(
    r"""
    (?P<blank>\s+|--[^\r\n]*) | (?P<comment>/\*) | (?P<end>;)
    | [eE]'(?:[^'\\]|\\.|'')*+(?:'|\Z) | '[^']*(?:'|\Z) | "[^"]*(?:"|\Z)
    | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
    | (?P<word>[^\W\d][\w$]*) | .
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_QUERIES = frozenset(("select", "with", "values", "table"))
#: OIDs of `pg_type`, which are the same on every server: what is told from its text.
_BOOLEAN = 16
_NUMBERS = frozenset((20, 21, 23, 26, 700, 701, 1700))


class _Column(NamedTuple):
    name: str
    type_oid: int


def ask_postgres(database: Database, sql: str, limits: Limits) -> Answered:
    """Ask a query, as `storage.read_only.ask` does, which has looked at its text."""
    query = _query_alone(sql)
    with database.apart(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection:
        try:
            with connection.begin(), time_limit(connection, limits.time_limit_s), as_sqlalchemy(connection, sql):
                return _answered(connection.connection.dbapi_connection, query, limits)
        except DBAPIError as error:
            if not is_refusal(error.orig):
                raise
            raise refused(database.reason(error)) from error


def _answered(driver: Any, query: str, limits: Limits) -> Answered:  # noqa: ANN401 - psycopg's connection
    with driver.cursor() as cursor:
        cursor.execute(_SESSION)
        _raise_if_volatile(cursor, query)
        columns = _columns(driver.pgconn, query)
        if not columns:
            return Answered((), (), is_cut=False, ms=0.0)
        longest = max(limits.max_bytes // len(columns), 1)
        statement = _limited(query, len(columns), longest, limits.max_rows + 1)
        begun = time.monotonic()
        rows: list[tuple[Value, ...]] = []
        size, is_cut = 0, False
        with closing(cursor.stream(statement)) as stream:
            for texts in stream:
                _raise_if_long(texts, columns, longest)
                size += sum(len(text or "") for text in texts)
                is_cut = len(rows) == limits.max_rows or size > limits.max_bytes
                if is_cut:
                    break
                rows.append(tuple(_value(text, column) for text, column in zip(texts, columns, strict=True)))
        ms = (time.monotonic() - begun) * 1000
    return Answered(tuple(column.name for column in columns), tuple(rows), is_cut=is_cut, ms=ms)


def _query_alone(sql: str) -> str:
    """Return a query without the semicolon that ends it, and what follows.

    Raises:
        UsageError: something does follow, or it is no query.

    """
    end, place, has_begun = len(sql), 0, False
    while place < len(sql):
        piece = _PIECE.match(sql, place)
        assert piece  # one character always is a piece
        if piece["comment"]:
            place = _end_of_comment(sql, place)
            continue
        if piece["end"]:
            end = min(end, place)
        elif not piece["blank"]:
            if end < len(sql):
                raise UsageError("There is more than one statement: a query stands alone.")
            if not has_begun and piece[0] != "(" and piece[0].lower() not in _QUERIES:
                raise UsageError(f"{piece[0]!r} begins no query: one begins with SELECT, WITH, VALUES or TABLE.")
            has_begun = has_begun or piece[0] != "("
        place = piece.end()
    return sql[:end]


def _end_of_comment(sql: str, place: int) -> int:
    """Return where a comment ends that begins here: there may be others in it."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, place):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    return len(sql)


def _raise_if_volatile(cursor: Any, query: str) -> None:  # noqa: ANN401 - psycopg's
    """Check that nothing in a query is called like a function that acts outside of its transaction.

    All that could be a name counts, in any case, also within texts: what Postgres makes of them need not be known.
    """
    if _ESCAPED_NAME.search(query):
        raise UsageError('Names are not written as U&"…" here: write the letters themselves.')
    words = {word for found in _WORD.findall(query) for word in (found, found.lower())}
    cursor.execute(_VOLATILE, {"words": list(words), "harmless": list(_HARMLESS)})
    found = cursor.fetchone()
    if found:
        raise UsageError(
            f"{found[0]} is the name of a function that may do more than read, so that no query here may hold it."
        )


def _columns(pgconn: Any, query: str) -> list[_Column]:  # noqa: ANN401 - psycopg's
    """Return what columns a query has. Parsed alone, it is one statement, and its brackets are its own."""
    from psycopg.errors import error_from_result
    from psycopg.pq import ExecStatus

    for result in (pgconn.prepare(b"", query.encode()), pgconn.describe_prepared(b"")):
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result, encoding="utf-8")
    if result.nparams:
        raise UsageError("A query has no parameters here: write the value itself instead of $1.")
    return [_Column(result.fname(place).decode(), result.ftype(place)) for place in range(result.nfields)]


def _limited(query: str, columns: int, longest: int, rows: int) -> str:
    """Return a query for the first rows of another one, with values as texts, cut one character after the longest.

    What is in brackets after FROM cannot be anything that writes, not even a WITH that does.
    """
    names = [f"c{place}" for place in range(columns)]
    values = ", ".join(f"left({name}::text, {longest + 1})" for name in names)
    return f"SELECT {values} FROM ({query}\n) AS q({', '.join(names)}) LIMIT {rows}"  # noqa: S608 - the person's own


def _raise_if_long(texts: Sequence[str | None], columns: Sequence[_Column], longest: int) -> None:
    for text, column in zip(texts, columns, strict=True):
        if text and len(text) > longest:
            raise UsageError(f"A value of {column.name} has more than {longest:,} characters: ask for a part of it.")


def _value(text: str | None, column: _Column) -> Value:
    if text is None:
        return None
    if column.type_oid == _BOOLEAN:
        return text == "true"
    if column.type_oid not in _NUMBERS or not text.lstrip("-")[:1].isdigit():  # NaN and Infinity stay words
        return text
    return int(text) if text.lstrip("-").isdigit() else float(text)
