"""`nightlabel report`: which runs it is about, and in which form they are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from common.errors import DatabaseError, UsageError
from report.machine import as_json as night_as_json
from report.night import night_figures
from report.side_by_side import print_side_by_side, side_by_side
from report.terminal import print_report
from report.words import parse_duration
from storage.runs import get_run, newest_run, runs_since

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.settings import Settings
    from nightlabel.output import Output
    from storage.database import Database
    from storage.records import Run


def find_runs(database: Database, run_ids: Sequence[int], since: str | None) -> list[Run]:
    """Return the runs with these ids, or those begun since a time, or the newest one.

    Raises:
        DatabaseError: there is none.
        UsageError: the time makes no sense, or ids are given too.

    """
    if run_ids and since is not None:
        raise UsageError("--run and --since: choose one of them.")
    if run_ids:
        found = [get_run(database, run_id) for run_id in dict.fromkeys(run_ids)]
        missing = [str(run_id) for run_id, run in zip(dict.fromkeys(run_ids), found, strict=True) if run is None]
        if missing:
            raise DatabaseError(f"There is no run {', '.join(missing)} in {database.shown}.")
        return [run for run in found if run]
    if since is not None:
        runs = runs_since(database, _instant(since))
        if not runs:
            raise DatabaseError(f"No run has begun since {since} in {database.shown}.")
        return runs
    newest = newest_run(database)
    if newest is None:
        raise DatabaseError(f"There is no run in {database.shown}. `nightlabel run PATH` makes one.")
    return [newest]


def show_run(database: Database, run: Run, settings: Settings, output: Output) -> None:
    """Show the report on one run."""
    night = night_figures(database, run)
    if output.html:
        from report.page import night_page, write_page

        write_page(night_page(night, database, settings), output.html)
    output.show("The report", lambda: night_as_json(night), partial(print_report, night))


def show_runs(database: Database, runs: Sequence[Run], output: Output) -> None:
    """Show several runs side by side; what it is for machines has the same form for one."""
    compared = side_by_side(database, [night_figures(database, run) for run in runs])
    if output.html:
        from report.page import nights_page, write_page

        write_page(nights_page(compared), output.html)
    output.show("The report", compared.as_json, partial(print_side_by_side, compared))


def _instant(text: str) -> datetime:
    """Return the instant that `2026-11-24`, `2026-11-24T22:00` (here, not in UTC) or `12h` (ago) mean."""
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration(text.removesuffix("ago").strip()))
    except (ValueError, OverflowError):
        pass
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"--since {text!r}: use a day, a time as in 2026-11-24T22:00, or 12h or 7d ago.") from None
