"""Give up a run that is not finished."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.errors import DatabaseError
from storage import runs
from storage.schema_version import existing_database

if TYPE_CHECKING:
    from common.settings import Settings
    from storage.records import Progress, RunState


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """What cancelling came to."""

    before: RunState  #: `finished` or `cancelled`: nothing was changed
    progress: Progress


def cancel(settings: Settings, run_id: int) -> Cancelled:
    """Have a run not labelled any further. What it labelled stays.

    Raises:
        DatabaseError: there is no such run, or the database is out of reach.

    """
    with closing(existing_database(settings.database_url)) as database:
        run = runs.cancel(database, run_id)
        if run is None:
            raise DatabaseError(
                f"There is no run {run_id} in {database.shown}. `nightlabel status` lists those at work."
            )
        return Cancelled(before=run.state, progress=runs.progress(database, run_id))
