"""`nightlabel sidecars`: what pictures show, for photo managers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import ArchiveError
from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.screen import say

if TYPE_CHECKING:
    from collections import Counter

    from common.settings import Settings
    from export.sidecars import Change, Done

#: What is said of each sidecar with --dry-run, and of all of them in the end.
_WORDS = {"created": "created", "changed": "changed", "deleted": "removed", "unchanged": "as they were"}


@takes_settings("db", "language")
def sidecars(
    settings: Settings,
    into: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A tree of their own there, instead of beside the pictures.")
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, metavar="0…1", help="The least score of a kind or a label.")
    ] = 0.5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take out what this command wrote, and nothing else.")
    ] = False,
) -> None:
    """Write what each picture shows as keywords into an XMP sidecar, for digiKam, darktable and others.

    Example: nightlabel sidecars --language de --dry-run
    """

    def tell(done: Done) -> None:
        _tell(done, dry_run=dry_run)

    counts = library.sidecars(into, min_score, remove=remove, dry_run=dry_run, tell=tell, settings=settings)
    say(_summary(counts, dry_run=dry_run))
    if alone := counts["left_alone"]:  # type: ignore[index]  # a StrEnum is its text
        raise ArchiveError(
            f"{'1 sidecar was' if alone == 1 else f'{alone:,} sidecars were'} left alone; named above, with the reason."
        )


def _tell(done: Done, *, dry_run: bool) -> None:
    from storage.records import shown

    if done.change == "left_alone":
        say(f"{shown(done.path)} is left alone: {done.why}.", err=True)
    elif dry_run and done.change in ("created", "changed", "deleted"):
        words = f": {', '.join(done.words)}" if done.words else ""
        say(f"{_WORDS[done.change]:7} {shown(done.path)}{words}")


def _summary(counts: Counter[Change], *, dry_run: bool) -> str:
    parts = [f"{counts[change]:,} {word}" for change, word in _WORDS.items()]  # type: ignore[index]  # see above
    gone = counts["gone"]  # type: ignore[index]
    pictures = f" {gone:,} {'picture is' if gone == 1 else 'pictures are'} gone." if gone else ""
    return f"Sidecars{' would be' if dry_run else ''}: {', '.join(parts)}.{pictures}"
