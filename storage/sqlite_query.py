"""One query of a person's own on a SQLite file: `python -m storage.sqlite_query`, in a process of its own.

It is asked and answers in JSON; `storage.read_only` is the other end. Within a process, SQLite looks at a clock only
between the steps of its machine, and one step, as `instr` on long texts, may take minutes; and memory can be limited
for all connections together alone. The kernel keeps both limits, whatever a query does; what it ends leaves no lock.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sqlite3
import sys
import time
from contextlib import closing, suppress
from typing import Any

#: What a query may hold, with the 40 MB of the interpreter; and what each of its temporary files may, when it sorts.
_MEMORY_BYTES = 1 << 30
#: Behind the night's workers.
_NICENESS = 10
#: Of the results, and of each table: a row is in memory as a whole. `results` has fewer than 40.
_MAX_COLUMNS = 200
#: A pattern is held against all places of a text.
_MAX_PATTERN_BYTES = 500
_LIMITS = {
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_COLUMN: _MAX_COLUMNS,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: _MAX_PATTERN_BYTES,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_READING = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))
#: Those that tell what a table looks like.
_PRAGMAS = frozenset(
    ("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list")
)
#: Functions that run foreign code.
_DENIED = frozenset(("load_extension", "fts3_tokenizer"))
#: A file's mtime moves on in steps of the kernel's clock: two changes within one of them look like one.
_CLOCK_STEP_S = 0.05

#: What tells that a file is as it was.
_Version = tuple[int, int, int, int]


def main() -> None:
    """Read a question from standard input, and write its answer, or what SQLite says instead."""
    question = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process
    signal.setitimer(signal.ITIMER_REAL, question["time_limit_s"])
    os.nice(_NICENESS)
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE):
        with suppress(OSError, ValueError):  # where the user has a lower one
            resource.setrlimit(limit, (_MEMORY_BYTES, _MEMORY_BYTES))
    answer = _answer(os.path.realpath(bytes.fromhex(question.pop("path"))), question)
    json.dump(answer, sys.stdout)


def _answer(path: bytes, question: dict[str, Any]) -> dict[str, Any]:
    """Ask a file in the one of two ways that leaves no trace beside it.

    Where SQLite opens a file in WAL mode that nobody has open, it makes a log and an index beside it, and one that only
    reads does not remove them. Such a file is read as one that cannot change; where it did, it is read once more.
    https://sqlite.org/wal.html#read_only_databases
    """
    while True:
        quiet = _quiet_version(path)
        answer = _said_by_sqlite(path, question, is_quiet=quiet is not None)
        if quiet is None or quiet == _version(path):
            return answer


def _quiet_version(path: bytes) -> _Version | None:
    """Return what tells whether a file has changed that nobody has open; None: somebody has, or it is not there."""
    if any(os.path.exists(path + end) for end in (b"-wal", b"-journal")):
        return None
    try:
        age = time.time() - os.stat(path).st_mtime
    except OSError:
        return None
    if 0 <= age < _CLOCK_STEP_S:
        time.sleep(_CLOCK_STEP_S)
    return _version(path)


def _version(path: bytes) -> _Version | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _said_by_sqlite(path: bytes, question: dict[str, Any], *, is_quiet: bool) -> dict[str, Any]:
    try:
        with closing(_opened(path, question["max_bytes"], is_quiet=is_quiet)) as connection:
            return _rows(connection, **question)
    except sqlite3.Error as error:
        # The driver itself has found what has no code: a second statement.
        return {"error": str(error), "code": getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)}
    except sqlite3.Warning as error:  # what that is before Python 3.12
        return {"error": str(error), "code": sqlite3.SQLITE_ERROR}
    except MemoryError:
        return {"error": "it takes too much memory", "code": sqlite3.SQLITE_ERROR}


def _opened(path: bytes, max_bytes: int, *, is_quiet: bool) -> sqlite3.Connection:
    name = "".join(f"%{byte:02x}" for byte in path)  # as in a URI, whatever the bytes are
    options = "mode=ro&immutable=1" if is_quiet else "mode=ro"
    connection = sqlite3.connect(f"file:{name}?{options}", uri=True, isolation_level=None)
    connection.text_factory = _text
    for limit, value in _LIMITS.items():
        connection.setlimit(limit, value)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max_bytes)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.set_authorizer(_authorize)
    return connection


def _authorize(action: int, first: str | None, second: str | None, _schema: str | None, _view: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if second in _DENIED else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_OK if first in _PRAGMAS else sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


def _rows(
    connection: sqlite3.Connection, sql: str, max_rows: int, max_bytes: int, time_limit_s: float
) -> dict[str, Any]:
    del time_limit_s  # the kernel has it
    begun = time.monotonic()
    cursor = connection.execute(sql)
    columns = [name for name, *_ in cursor.description or ()]
    rows: list[list[Any]] = []
    size, is_cut = 0, False
    for row in cursor:
        values = [_plain(value) for value in row]
        size += sum(len(str(value)) for value in values)
        is_cut = len(rows) == max_rows or size > max_bytes
        if is_cut:
            break
        rows.append(values)
    return {"columns": columns, "rows": rows, "is_cut": is_cut, "ms": (time.monotonic() - begun) * 1000}


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace").replace("\0", r"\x00")


def _plain(value: Any) -> Any:  # noqa: ANN401 - of any of SQLite's types
    """Return a value as a table shows it: JSON has no bytes and no infinity."""
    if isinstance(value, bytes):
        return rf"\x{value.hex()}"
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    main()
