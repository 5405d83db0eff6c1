"""Tell the database that an archive lies elsewhere now."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from archive.blocking import call_with_timeout
from archive.places import place_of
from common.errors import ArchiveError, UsageError
from host.process import is_running
from runner.status import is_followed
from storage.moves import Busy, Move, draw_moved, move_archive
from storage.records import shown
from storage.schema_version import existing_database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.settings import Settings

#: Images that are looked for at the new place: of a wrong one, none is there.
_LOOKED_FOR = 20


@dataclass(frozen=True, kw_only=True)
class ArchiveMoved:
    """What a move changed, or would change."""

    old: str  #: absolute, as are all that lie below it in the database
    new: str
    images: int
    runs: int  #: whose roots are others now
    looked_for: int  #: images, at the new place
    found: int | None  #: of these; None: the new place is not seen from here
    seconds: float


def move(settings: Settings, old: str, new: str, *, dry_run: bool) -> ArchiveMoved:
    """Have all images and runs at or below `old` be those of `new`.

    Raises:
        UsageError: both are the same place.
        ArchiveError: `new` is seen from here, and none of the images is there.
        DatabaseError: no image is at `old`, or others have the new names; or the database is out of reach.
        FollowedError: somebody works on a run of these images.

    """
    started = time.monotonic()
    if not old or not new:
        raise UsageError("A place has no name: say where the archive was, and where it is now.")
    real = _real_path(new)
    wanted = Move(place_of(old).absolute(old), real or place_of(new).absolute(new))
    if wanted.old == wanted.new:
        raise UsageError(f"{shown(wanted.old)} and {shown(new)} are the same place: there is nothing to move.")
    busy = Busy(is_followed, is_running, timedelta(seconds=settings.stall_limit_s))
    with closing(existing_database(settings.database_url)) as database:
        drawn = [wanted.renamed(path) for path in draw_moved(database, wanted, _LOOKED_FOR)]
        found = _count_there(drawn, wanted.new) if real else None
        if found == 0:
            raise ArchiveError(
                f"None of the images that were looked for is in {shown(wanted.new)}: there is no"
                f" {shown(min(drawn))}, for one. Is it the right folder, and is its disk mounted? Nothing was changed."
            )
        moved = move_archive(database, wanted, busy, dry_run=dry_run)
    return ArchiveMoved(
        old=wanted.old,
        new=wanted.new,
        images=moved.images,
        runs=moved.runs,
        looked_for=len(drawn),
        found=found,
        seconds=time.monotonic() - started,
    )


def _real_path(new: str) -> str | None:
    """Return the new place as a run would name its root; None: it is not seen from here."""
    try:
        return call_with_timeout(partial(place_of(new).find_root, new))
    except OSError:
        return None


def _count_there(paths: Sequence[str], new: str) -> int:
    is_there = place_of(new).is_single_image
    try:
        return call_with_timeout(lambda: sum(map(is_there, paths)))
    except OSError as error:
        raise ArchiveError(f"{shown(new)} cannot be looked at: {error.strerror or error}. Is it mounted?") from None
