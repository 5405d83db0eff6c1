"""An archive that lies elsewhere now: its images' names and its runs' roots, all of them changed or none."""

from __future__ import annotations

import math
import os
import random
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, case, func, literal, or_, select, update

from common.errors import DatabaseError, FollowedError
from storage.known_images import has_name_of
from storage.manifest import path_of
from storage.records import shown
from storage.runs import run_of_row, select_runs
from storage.tables import chunks, images, manifest, runs, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement, Connection, FromClause

    from storage.database import Database
    from storage.records import Run

#: Names and roots that an error shows, at the most.
_SHOWN = 5
#: What no image's name begins with: under it, each waits until none has its old name any more.
_ON_THE_WAY = ">"


class Move(NamedTuple):
    """From where to where; absolute paths, as `os` gives them."""

    old: str
    new: str

    def renamed(self, path: str) -> str:
        """Return what a path at or below the old place is called at the new one."""
        return (self.new.rstrip("/") + path[len(self.old.rstrip("/")) :]) or "/"

    @property
    def is_nested(self) -> bool:
        """Whether one of the two places lies in the other, so that a new name may be another's old one."""
        return _is_in(self.old, self.new) or _is_in(self.new, self.old)


class Moved(NamedTuple):
    """What a move changed, or would change."""

    images: int
    runs: int  #: whose roots are others


class Busy(NamedTuple):
    """What tells that somebody works on a run."""

    is_followed: Callable[[Run, datetime], bool]  #: at this time, by the database's clock
    is_running: Callable[[str | None], bool | None]  #: a worker's process; None: nobody can tell from here
    patience: timedelta  #: how long a worker of which nobody can tell counts as at work on what it began


def draw_moved(database: Database, move: Move, count: int) -> list[str]:
    """Return the old paths of up to so many images, drawn evenly from all that would move, and each time the same.

    Raises:
        DatabaseError: there is none.

    """
    at_old = _holds(move.old, images)
    with database.read() as connection:
        total = _count(connection, move)
        if not total:
            raise DatabaseError(_nothing_there(database, connection, move))
        places = random.Random(0).sample(range(1, total + 1), min(count, total))  # noqa: S311 - no secret
        place = func.row_number().over(order_by=images.c.id).label("place")
        numbered = select(images.c.path, images.c.path_hex, place).where(at_old).subquery()
        drawn = select(numbered.c.path, numbered.c.path_hex).where(numbered.c.place.in_(places))
        return [path_of(*row) for row in connection.execute(drawn)]


def move_archive(database: Database, move: Move, busy: Busy, *, dry_run: bool) -> Moved:
    """Change all names at or below the old place, and the roots of the runs, in one transaction.

    Args:
        database: where.
        move: from where to where.
        busy: tells that somebody works on a run.
        dry_run: only say what would change.

    Raises:
        DatabaseError: nothing is at the old place, or other images have the new names already.
        FollowedError: somebody works on a run of these images.

    """
    with database.read() if dry_run else database.write() as connection:
        others = _runs_over(connection, move, lock=not dry_run)
        _raise_if_busy(connection, others, busy, database.now(connection))
        count = _count(connection, move)
        if not count:
            raise DatabaseError(_nothing_there(database, connection, move))
        _raise_if_taken(database, connection, move)
        roots = {run.id: _moved_roots(connection, run, move) for run in others}
        changed = {run.id: roots[run.id] for run in others if roots[run.id] != list(run.roots)}
        if not dry_run:
            _rename(database, connection, move)
            for run_id, own in changed.items():
                connection.execute(update(runs).where(runs.c.id == run_id).values(roots=own))
    return Moved(count, len(changed))


def _count(connection: Connection, move: Move) -> int:
    at_old = select(func.count()).select_from(images).where(_holds(move.old, images))
    return int(connection.execute(at_old).scalar_one())


def _rename(database: Database, connection: Connection, move: Move) -> None:
    path, path_hex = _new_name(database, images, move)
    # Both databases look for a second row of a name at each row, not at the end.
    first = literal(_ON_THE_WAY).concat(path) if move.is_nested else path
    connection.execute(update(images).where(_holds(move.old, images)).values(path=first, path_hex=path_hex))
    if move.is_nested:
        waits = func.substr(images.c.path, 1, 1) == _ON_THE_WAY
        connection.execute(update(images).where(waits).values(path=func.substr(images.c.path, 2)))


def _runs_over(connection: Connection, move: Move, *, lock: bool) -> list[Run]:
    """Return the runs of which a root is at the old place, below it or above it."""
    found = []
    for unfinished in (True, False):
        query = select_runs(unfinished=unfinished).order_by(runs.c.id)
        rows = connection.execute(query.with_for_update(of=runs) if lock else query)
        found += [run_of_row(row) for row in rows]
    return [run for run in found if any(_is_in(root, move.old) or _is_in(move.old, root) for root in run.roots)]


def _raise_if_busy(connection: Connection, others: Sequence[Run], busy: Busy, now: datetime) -> None:
    for run in others:
        if busy.is_followed(run, now):
            raise FollowedError(
                f"Run {run.id}, of these images, is followed by {run.follower}. Wait for it, or end that process; then"
                " type this command again."
            )
    in_work = (
        select(chunks.c.run_id, chunks.c.worker, chunks.c.started_at, workers.c.process)
        .outerjoin(workers, workers.c.name == chunks.c.worker)
        .where(chunks.c.done_at.is_(None), chunks.c.published_at.is_not(None), chunks.c.started_at.is_not(None))
        .where(chunks.c.run_id.in_([run.id for run in others]))
        .order_by(chunks.c.id)
    )
    for row in connection.execute(in_work):
        lives = busy.is_running(row.process)
        if lives or (lives is None and abs(now - row.started_at) < busy.patience):
            minutes = math.ceil(busy.patience.total_seconds() / 60)
            known = "" if lives else f" If it was killed: nobody can tell that from here for {minutes} minutes."
            raise FollowedError(
                f"The worker {row.worker} is at work on images of run {row.run_id}. Wait for it, or stop it; then type"
                f" this command again.{known}"
            )


def _raise_if_taken(database: Database, connection: Connection, move: Move) -> None:
    old = images.alias("old")
    path, path_hex = _new_name(database, old, move)
    names = select(path.label("path"), path_hex.label("path_hex")).where(_holds(move.old, old)).subquery("new")
    taken = (
        select(images.c.path)
        .join(names, has_name_of(database, names))
        .where(~_holds(move.old, images), _holds(move.new, images))
    )
    count = connection.execute(select(func.count()).select_from(taken.subquery())).scalar_one()
    if count:
        some = connection.execute(taken.order_by(images.c.path).limit(_SHOWN)).scalars()
        raise DatabaseError(
            f"{_names(count)} under {shown(move.new)} would be taken twice, since the database has images of these"
            f" names already: {_listed(some, count)}. Nothing was changed. Where they are the same files, `nightlabel"
            " run` finds their labels by their bytes."
        )


def _moved_roots(connection: Connection, run: Run, move: Move) -> list[str]:
    """Return the run's roots after the move: it reads nothing outside of them, so they hold all of its images."""
    roots = [move.renamed(root) if _is_in(root, move.old) else root for root in run.roots]
    is_outside = not any(_is_in(move.new, root) for root in roots)
    if is_outside and any(_is_in(move.old, root) for root in run.roots if not _is_in(root, move.old)):
        own = (
            select(manifest.c.image_id)
            .join(images, images.c.id == manifest.c.image_id)
            .where(manifest.c.run_id == run.id, _holds(move.old, images))
        )
        if connection.execute(own.limit(1)).first():
            roots.append(move.new)
    each = list(dict.fromkeys(roots))
    return [root for root in each if not any(_is_in(root, other) for other in each if other != root)]


def _nothing_there(database: Database, connection: Connection, move: Move) -> str:
    every = connection.execute(select(runs.c.roots).order_by(runs.c.id.desc())).scalars()
    roots = list(dict.fromkeys(shown(root) for own in every for root in own))
    known = f"Its runs were over {_listed(roots[:_SHOWN], len(roots))}" if roots else "It has no run"
    return f"{database.shown} has no image at {shown(move.old)}. {known}."


def _listed(some: Iterable[str], count: int) -> str:
    return ", ".join(some) + (f" and {count - _SHOWN:,} more" if count > _SHOWN else "")


def _names(count: int) -> str:
    return "1 name" if count == 1 else f"{count:,} names"


def _is_in(path: str, folder: str) -> bool:
    """Tell whether a path is a folder's, or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _bytes_of(folder: str) -> tuple[str, str, bool]:
    """Return a folder as `images.path` begins with it, its bytes in hexadecimal, and whether they are UTF-8."""
    name = folder.rstrip("/")
    raw = os.fsencode(name)
    return shown(name), raw.hex(), raw.decode(errors="replace").encode() == raw


def _holds(folder: str, names: FromClause) -> ColumnElement[bool]:
    """Say that an image is at a folder's path or below it. Its own bytes tell, where they are not UTF-8."""
    text, raw, is_utf8 = _bytes_of(folder)
    looks_so = _begins(names.c.path, text, "/")
    is_so = _begins(names.c.path_hex, raw, b"/".hex())
    return and_(looks_so, or_(names.c.path_hex == "", is_so) if is_utf8 else is_so)


def _begins(column: ColumnElement[str], start: str, separator: str) -> ColumnElement[bool]:
    below = start + separator
    return or_(column == start, func.substr(column, 1, len(below)) == below)


def _new_name(database: Database, names: FromClause, move: Move) -> tuple[ColumnElement[str], ColumnElement[str]]:
    """Return `path` and `path_hex` of images at the old place as they are at the new one."""
    (old_text, old_raw, _), (new_text, new_raw, is_utf8) = _bytes_of(move.old), _bytes_of(move.new)
    rest = func.substr(names.c.path, len(old_text) + 1)
    if database.is_sqlite:
        rest_of_text = func.lower(func.hex(rest))
    else:
        rest_of_text = func.encode(func.convert_to(rest, "UTF8"), "hex")
    rest_of_raw = func.substr(names.c.path_hex, len(old_raw) + 1)
    if is_utf8:
        # What showed bytes that are not UTF-8, be it only the old folder's own, is not what it shows.
        is_text = or_(names.c.path_hex == "", rest_of_text == rest_of_raw)
        path_hex: ColumnElement[str] = case((is_text, ""), else_=literal(new_raw).concat(rest_of_raw))
    else:
        path_hex = literal(new_raw).concat(case((names.c.path_hex == "", rest_of_text), else_=rest_of_raw))
    return literal(new_text).concat(rest), path_hex
