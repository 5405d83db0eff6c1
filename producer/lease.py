"""The lease of a run: one process at a time follows it, for two would publish the same chunks over and over."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from common.errors import DatabaseError, FollowedError
from host.process import host_name, is_running, process_identity
from storage import run_leases as lease

if TYPE_CHECKING:
    from types import TracebackType

    from storage.database import Database

#: Seconds between two renewals.
RENEW_EVERY_S = 5.0
#: A lease that was not renewed for as long, of whose holder nobody can tell from here whether it runs, has expired.
LEASE_EXPIRY = timedelta(seconds=4 * RENEW_EVERY_S)


class Lease:
    """The right of one process to follow a run, held by this one while the block lasts."""

    def __init__(self, database: Database, run_id: int) -> None:
        self._database = database
        self._run_id = run_id
        self._holder = lease.Holder(f"{host_name()}:{os.getpid()}", process_identity(os.getpid()))
        self._renewed_at = 0.0

    def renew(self) -> None:
        """Say that this process still follows the run, if it is time to.

        Raises:
            FollowedError: another process does.
            CancelledError: the run was cancelled.

        """
        if time.monotonic() - self._renewed_at < RENEW_EVERY_S:
            return
        other = lease.acquire(self._database, self._run_id, self._holder, patience=LEASE_EXPIRY, is_running=is_running)
        if other:
            raise FollowedError(f"Run {self._run_id} is followed by {other} already. Wait for it, or end that process.")
        self._renewed_at = time.monotonic()

    def __enter__(self) -> Self:
        self.renew()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(DatabaseError):  # then it waits until this process is seen to be gone
            lease.release(self._database, self._run_id, self._holder)
