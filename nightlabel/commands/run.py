"""`nightlabel run`, `enqueue` and `retry`: what makes a run and follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel import library
from nightlabel.options import FILES, MODEL, Paths, takes_settings
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("db", "workers", *MODEL, *FILES, "relabel", "nice", "memory_limit")
def run(paths: Paths, settings: Settings) -> None:
    """Label everything under PATH: workers, progress, report. The same command again resumes where it stopped.

    Example: nightlabel run ~/Pictures --workers 2
    """
    from nightlabel.run_display import TerminalDisplay

    library.label(paths, settings, TerminalDisplay(settings))


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
