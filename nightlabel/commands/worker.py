"""`nightlabel worker`: label what is on the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from nightlabel import library
from nightlabel.options import takes_settings

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("concurrency", "db", "broker", "nice", "memory_limit")
def worker(settings: Settings) -> None:
    """Label what is on the queue, until stopped. On as many hosts as there are.

    Example: NIGHTLABEL_BROKER_URL=redis://nas:6379/0 nightlabel worker --concurrency 4
    """
    raise typer.Exit(library.work(settings))
