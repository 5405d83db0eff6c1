"""Which runs a report is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.errors import DatabaseError, UsageError
from common.times import parse_instant
from storage.runs import get_run, newest_run, runs_since

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.database import Database
    from storage.records import Run


def find_runs(database: Database, run_ids: Sequence[int] = (), since: str | None = None) -> list[Run]:
    """Return the runs with these ids, or those that were started since a time, or the newest one.

    Args:
        database: where they are.
        run_ids: each is returned once.
        since: `2026-11-24`, `2026-11-24T22:00` (local time, not UTC), or `12h` or `7d` (ago).

    Raises:
        DatabaseError: there is none.
        UsageError: the time makes no sense, or ids are given too.

    """
    if run_ids and since is not None:
        raise UsageError("--run and --since: choose one of them.")
    if run_ids:
        return _runs_with(database, run_ids)
    if since is not None:
        return _runs_since(database, since)
    newest = newest_run(database)
    if newest is None:
        raise DatabaseError(f"There is no run in {database.shown}. `nightlabel run PATH` makes one.")
    return [newest]


def _runs_with(database: Database, run_ids: Sequence[int]) -> list[Run]:
    found = {run_id: get_run(database, run_id) for run_id in run_ids}
    missing = [str(run_id) for run_id, run in found.items() if run is None]
    if missing:
        raise DatabaseError(f"There is no run {', '.join(missing)} in {database.shown}.")
    return [run for run in found.values() if run]


def _runs_since(database: Database, since: str) -> list[Run]:
    runs = runs_since(database, parse_instant(since, "--since"))
    if not runs:
        raise DatabaseError(f"No run was started since {since} in {database.shown}.")
    return runs
