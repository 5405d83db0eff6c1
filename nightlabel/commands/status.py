"""`nightlabel status`: how far the runs are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.screen import Screen

if TYPE_CHECKING:
    from common.settings import Settings

#: Seconds between two looks of `--watch`.
WATCH_EVERY_S = 2.0


@takes_settings("db", "broker")
def status(
    settings: Settings,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 2 seconds, until all is done.")] = False,
) -> None:
    """Say what is done, in flight, waiting, failed and stalled, which workers live, and what to do.

    Example: nightlabel status --watch
    """
    if watch:
        _watch(settings)
        return
    from nightlabel.status_lines import status_lines

    console = Screen()
    for line in status_lines(library.status(settings)):
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
