"""`nightlabel enqueue`: put a folder on the queue of workers that run elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel import library
from nightlabel.options import FILES, MODEL, Paths, takes_settings

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("db", "broker", *MODEL, *FILES, "relabel")
def enqueue(
    paths: Paths,
    settings: Settings,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run to its end, and publish again what gets lost.")
    ] = False,
) -> None:
    """Put everything under PATH on the queue, for workers that run elsewhere.

    Example: nightlabel enqueue /mnt/photos --wait
    """
    from nightlabel.run_display import TerminalDisplay

    library.enqueue(paths, settings, TerminalDisplay(settings), wait=wait)
