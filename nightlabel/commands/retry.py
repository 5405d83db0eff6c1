"""`nightlabel retry`: label failed images again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("db", "broker", "workers")
def retry(
    settings: Settings,
    kind: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="Only failures of this kind, as in `unreadable`.")
    ] = None,
) -> None:
    """Label the failed images again: with a broker set, by its workers; else here and now.

    Example: nightlabel retry --kind unreadable --kind vanished
    """
    from nightlabel.run_display import TerminalDisplay

    if not library.retry(kind or [], settings, TerminalDisplay(settings)):
        say(f"No image failed{' for that reason' if kind else ''}: there is nothing to retry.")
