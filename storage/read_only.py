"""One query of a person's own, which may read, for a limited time, and do nothing else."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError

from common.child_process import ChildError, ask_module
from common.errors import DatabaseError, NightlabelError, UsageError
from storage.answered import Answered, Limits, refused
from storage.errors import is_refusal, translate_error
from storage.read_only_postgres import ask_postgres
from storage.time_limits import too_slow

if TYPE_CHECKING:
    from storage.database import Database

#: What is longer no person has written, and to read it takes time before any limit holds.
MAX_SQL_CHARACTERS = 100_000


def ask(database: Database, sql: str, *, time_limit_s: float, max_rows: int, max_bytes: int) -> Answered:
    """Ask a query, and return what it answers, or the first part of that.

    Only a query is taken, and only one. By the database's own means, it can change nothing, and holds no lock that
    anybody waits for. `docs/security.md` says how, and what is left to the rights of the database's role.

    Args:
        database: where.
        sql: the query.
        time_limit_s: seconds that it may take.
        max_rows: so many are returned at most.
        max_bytes: about so many are returned at most, and no value is longer.

    Raises:
        UsageError: it is no query, or one that the database refuses; in the database's own words.
        QueryTimeoutError: it took longer.
        DatabaseError: the database cannot be read.

    """
    if len(sql) > MAX_SQL_CHARACTERS:
        raise UsageError(f"The query is longer than {MAX_SQL_CHARACTERS:,} characters.")
    if "\0" in sql or not _is_utf8(sql):
        raise UsageError("The query holds what is no text: a zero byte, or bytes that are not UTF-8.")
    limits = Limits(time_limit_s, max_rows, max_bytes)
    answered = _ask_sqlite(database, sql, limits) if database.is_sqlite else ask_postgres(database, sql, limits)
    if not answered.columns:
        raise UsageError("There is no query that answers with rows: one begins with SELECT, WITH or VALUES.")
    return answered


def _ask_sqlite(database: Database, sql: str, limits: Limits) -> Answered:
    if database.file is None:
        raise UsageError(f"The database {database.shown} is no file, so that no second connection can read it.")
    question = {"path": os.fsencode(database.file).hex(), "sql": sql, **limits._asdict()}
    try:
        answer = json.loads(ask_module("storage.sqlite_query", question=json.dumps(question)))
    except ChildError as error:
        if error.status == -signal.SIGALRM:
            raise too_slow(limits.time_limit_s) from None
        raise DatabaseError(f"The query could not be asked: {error}.") from None
    if "error" in answer:
        raise _as_error(database, **answer)
    rows = tuple(tuple(row) for row in answer["rows"])
    return Answered(tuple(answer["columns"]), rows, is_cut=answer["is_cut"], ms=answer["ms"])


def _as_error(database: Database, error: str, code: int) -> NightlabelError:
    """Return what SQLite said in the other process as what it is here."""
    said = sqlite3.OperationalError(error)
    said.sqlite_errorcode = code
    if code == sqlite3.SQLITE_AUTH:
        return refused(f"{error} (a query here reads, and does nothing else)")
    if is_refusal(said):
        return refused(error)
    return translate_error(OperationalError(None, None, said), database.shown, error)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
