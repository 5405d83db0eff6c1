"""`nightlabel status`: how far the runs are."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import UsageError
from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.output import AsJson
from nightlabel.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.settings import Settings
    from runner.status import Status
    from runner.status_check import Problem

#: Seconds between two looks of `--watch`.
WATCH_EVERY_S = 2.0


@takes_settings("db", "broker")
def status(
    settings: Settings,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 2 seconds, until all is done.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say what keeps a run from getting on, and exit with its status.")
    ] = False,
    check_worker: Annotated[
        bool,
        typer.Option("--check-worker", help="Exit with 7 if no worker of this host answers, and with 0 if one does."),
    ] = False,
    no_archive: Annotated[
        bool, typer.Option("--no-archive", help="This machine does not see the archive: do not look for it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is done, in flight, waiting, failed and stalled, which workers live, and what to do.

    Example: nightlabel status --watch
    """
    if check_worker:
        _check_worker(settings, alone=not (watch or check or as_json))
        return
    if watch and (check or as_json):
        raise UsageError("--watch is for people: use --check and --json without it.")
    if watch:
        _watch(settings)
        return
    now = library.status(settings)
    found = library.problems(now, looks_at_archive=not no_archive) if check or as_json else []
    _show(now, found, check=check, as_json=as_json)
    if check and found:
        raise typer.Exit(found[0].exit_status)


def _check_worker(settings: Settings, *, alone: bool) -> None:
    if not alone:
        raise UsageError("--check-worker asks about this host's worker and nothing else: use it alone.")
    library.raise_if_no_worker_here(settings)
    Screen().out("A worker of this host answers.", highlight=False)


def _show(now: Status, found: Sequence[Problem], *, check: bool, as_json: bool) -> None:
    console = Screen()
    if as_json:
        from nightlabel.status_json import as_json as document

        console.out(json.dumps(document(now, found), indent=2), highlight=False)
        return
    from nightlabel.status_lines import status_lines

    if check:
        lines = [f"Run {problem.run_id}: {problem.text}" for problem in found] or ["All is well."]
    else:
        lines = list(status_lines(now))
    for line in lines:
        console.out(line, highlight=False)


def _watch(settings: Settings) -> None:
    """Show the status anew every two seconds until no run is unfinished; also through an outage."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from common.errors import BrokerBusyError, DatabaseBusyError
    from nightlabel.status_lines import status_lines

    with Live(console=Screen(), auto_refresh=False) as live:
        while True:
            try:
                now = library.status(settings)
                live.update(Group(*map(Text, status_lines(now))), refresh=True)
                if not now.is_unfinished:
                    return
            except (BrokerBusyError, DatabaseBusyError) as error:
                live.update(Text(str(error)), refresh=True)
            time.sleep(WATCH_EVERY_S)
