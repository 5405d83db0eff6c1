"""`nightlabel review`: how right a model is on this archive, from a person's answers on a random sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings
    from nightlabel.library.review_questions import Reviewed


@takes_settings("db", "language")
def review(
    settings: Settings,
    sample: Annotated[int, typer.Option(min=1, metavar="N", help="Pictures that a new review draws at random.")] = 50,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Draws the same from the same; else chance does.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Whose labels; else the newest run's.")] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Show no pictures, only their paths.")] = False,
) -> None:
    """Say of a random sample whether the labels are right: the report then tells how right the model is here.

    A review that was stopped goes on where it was. Example: nightlabel review --sample 50
    """
    from nightlabel.review_screen import ReviewScreen

    screen = ReviewScreen(shows_pictures=not no_open)
    done = library.review(screen.ask, sample, seed, model, settings)
    for line in _in_words(done):
        say(line)


def _in_words(done: Reviewed) -> list[str]:
    from report.words import counted
    from storage.records import shown

    said = f"Review {done.review} of {done.model}: {counted(done.answered, 'answer')} now"
    said += f", {done.skipped} skipped" if done.skipped else ""
    changed = [f"{shown(path)} has changed since it was labelled: it does not count." for path in done.changed]
    if done.left:
        return [*changed, f"{said}, {done.left} of {done.pictures} to go: the same command goes on."]
    return [*changed, f"{said}; all {done.pictures} pictures are done. How right the model is: nightlabel report"]
