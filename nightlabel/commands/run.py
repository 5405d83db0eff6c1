"""`nightlabel run`: label a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from common.errors import STOPPED_EXIT_STATUS
from nightlabel import library
from nightlabel.options import FILES, MODEL, WINDOW, Paths, takes_settings

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("db", "workers", *MODEL, *FILES, "relabel", *WINDOW, "nice", "memory_limit")
def run(paths: Paths, settings: Settings) -> None:
    """Label everything under PATH: workers, progress, report. The same command again resumes where it stopped.

    Example: nightlabel run ~/Pictures --workers 2
    """
    from nightlabel.run_display import TerminalDisplay

    if library.label(paths, settings, TerminalDisplay(settings)).stopped:
        raise typer.Exit(STOPPED_EXIT_STATUS)
