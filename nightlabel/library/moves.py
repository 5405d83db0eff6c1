"""An archive that lies elsewhere now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nightlabel.library.arguments import AnyPath, loaded

if TYPE_CHECKING:
    from common.settings import Settings
    from runner.move import ArchiveMoved


def move(old: AnyPath, new: AnyPath, settings: Settings | None = None, *, dry_run: bool = False) -> ArchiveMoved:
    """Have the database know an archive, or a part of one, by the place to which it was moved; move no file.

    All images at or below `old`, and the runs over them, are then those of `new`: nothing is labelled again. Either all
    of it is changed, or nothing.

    Example:
        moved = nightlabel.move("photos", "/srv/photos", settings, dry_run=True)
        print(moved.images, "images and", moved.runs, "runs would be at", moved.new)

    Args:
        old: where it was.
        new: where it is now; may be a place that only other machines see.
        settings: what can be set.
        dry_run: only say what would change.

    Raises:
        UsageError: both are the same place.
        ArchiveError: `new` is seen from here, and none of the images is there.
        DatabaseError: no image is at `old`, or others have the new names; or the database is out of reach.
        FollowedError: somebody works on a run of these images.

    """
    from runner.move import move as move_archive

    return move_archive(loaded(settings), os.fspath(old), os.fspath(new), dry_run=dry_run)
