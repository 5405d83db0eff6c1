"""People's own queries: a few at a time, and each with limits, so that none takes the machine from the night."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from storage.read_only import ask
from web.processes import BusyError

if TYPE_CHECKING:
    from storage.answered import Answered
    from storage.database import Database

#: At a time; who comes then waits so long for a turn.
_AT_ONCE, _PATIENCE_S = 2, 2.0
#: Longer ones are no looking around, and keep SQLite's log from being emptied meanwhile.
TIME_LIMIT_S = 15.0


class Queries:
    """Asks what people type."""

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def ask(self, database: Database, sql: str, *, max_rows: int, max_bytes: int) -> Answered:
        """Ask a query, and return what it answers, or the first part of that; call it in a thread.

        Raises:
            BusyError: others are being asked.
            UsageError: it is no query, or one that the database refuses.
            QueryTimeoutError: it took too long.
            DatabaseError: the database cannot be read.

        """
        if not self._turns.acquire(timeout=_PATIENCE_S):
            raise BusyError
        try:
            return ask(database, sql, time_limit_s=TIME_LIMIT_S, max_rows=max_rows, max_bytes=max_bytes)
        finally:
            self._turns.release()
