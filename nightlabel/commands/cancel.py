"""`nightlabel cancel`: give a run up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("db")
def cancel(
    settings: Settings,
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="Its number, as `nightlabel status` shows it.")],
) -> None:
    """Give up a run that is not finished: it is not labelled any further. What it labelled stays.

    Example: nightlabel cancel 3
    """
    cancelled = library.cancel(run_id, settings)
    state = cancelled.progress
    if cancelled.before in ("finished", "cancelled"):
        say(f"Run {run_id} is {cancelled.before} already.")
    else:
        say(
            f"Run {run_id} is cancelled: {state.labelled:,} of {state.images:,} images have their outcome, and keep it."
        )
