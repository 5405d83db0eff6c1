"""`nightlabel move`: the archive lies elsewhere now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings
    from runner.move import ArchiveMoved


@takes_settings("db")
def move(
    settings: Settings,
    old: Annotated[str, typer.Argument(metavar="OLD", help="Where the images were, as the database has it.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Where they are now.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Tell the database that the archive was moved: nothing is labelled again. No file is touched.

    Example: nightlabel move /mnt/old/photos /srv/photos --dry-run
    """
    moved = library.move(old, new, settings, dry_run=dry_run)
    say(_what_moved(moved, dry_run=dry_run))
    say(_what_is_there(moved))


def _what_moved(moved: ArchiveMoved, *, dry_run: bool) -> str:
    from storage.records import shown

    what = f"{_count(moved.images, 'image')} and {_count(moved.runs, 'run')}"
    places = f"from {shown(moved.old)} to {shown(moved.new)}"
    if dry_run:
        return f"{what} would be moved {places}. Nothing was changed; it took {moved.seconds:.1f} s to find out."
    return f"Moved {what} {places}, in {moved.seconds:.1f} s."


def _what_is_there(moved: ArchiveMoved) -> str:
    from storage.records import shown

    if moved.found is None:
        return f"{shown(moved.new)} is not seen from here, so nobody has looked whether the images are there."
    return f"Of {_count(moved.looked_for, 'image')} looked for at the new place, {moved.found:,} are there."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
