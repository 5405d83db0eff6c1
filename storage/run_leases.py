"""The lease on a run: one process follows it at a time, whatever the hosts' clocks say."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, update

from common.errors import CancelledError, DatabaseError
from storage.tables import runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from storage.database import Database


class Holder(NamedTuple):
    """A process that follows a run, or wants to."""

    name: str  #: `host:PID`, for people
    process: str  #: `host.process.process_identity`


def acquire(
    database: Database,
    run_id: int,
    holder: Holder,
    *,
    patience: timedelta,
    is_running: Callable[[str | None], bool | None],
) -> str | None:
    """Take or renew the lease on a run, unless another process holds it.

    Args:
        database: where.
        run_id: of the run.
        holder: who asks.
        patience: how long one may be silent, by the database's clock, of whom `is_running` knows nothing.
        is_running: tells whether a process, named as `Holder.process`, is; None: nobody can tell from here.

    Returns:
        The name of the process that holds it; None if the lease is ours.

    Raises:
        CancelledError: the run was cancelled.
        DatabaseError: there is no such run any more.

    """
    known = runs.c.follower, runs.c.follower_process, runs.c.followed_at, runs.c.cancelled_at
    with database.write() as connection:
        row = connection.execute(select(*known).where(runs.c.id == run_id).with_for_update()).one_or_none()
        if row is None:
            raise DatabaseError(
                f"The database has no run {run_id} any more: it was set back to a backup from before. Type the same"
                " command again."
            )
        now = database.now(connection)
        if row.cancelled_at:
            raise CancelledError(f"Run {run_id} was cancelled. The same command starts a new one.")
        if row.follower and row.follower_process != holder.process:
            lives = is_running(row.follower_process)
            if lives or (lives is None and abs(now - row.followed_at) < patience):
                return str(row.follower)
        values = {"follower": holder.name, "follower_process": holder.process, "followed_at": now}
        connection.execute(update(runs).where(runs.c.id == run_id).values(**values))
    return None


def release(database: Database, run_id: int, holder: Holder) -> None:
    """Give the lease up, if it is ours."""
    ours = runs.c.id == run_id, runs.c.follower_process == holder.process
    with database.write() as connection:
        connection.execute(update(runs).where(*ours).values(follower=None, follower_process=None, followed_at=None))
