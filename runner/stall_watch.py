"""When do workers count as stalled?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.records import Progress


class StallWatch:
    """Tells when no image got its outcome for `limit_s` seconds, though there was work for the workers.

    Each time that it goes on, it is given twice as long as before: on a busy machine, workers that were started again
    need longer for their first chunk than those that are warm.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._labelled = -1
        self._since = time.monotonic()
        self._times = 0

    def times_stalled(self, progress: Progress) -> int:
        """Return 1 when that has happened, 2 when it goes on twice as long again, …; in between, and else, 0."""
        now = time.monotonic()
        if progress.labelled != self._labelled or not progress.chunks_published:
            self._labelled, self._times, self._since = progress.labelled, 0, now
        if now - self._since < self.limit_s * (1 << self._times):
            return 0
        self._times, self._since = self._times + 1, now
        return self._times

    @property
    def lasted_s(self) -> float:
        """Seconds that the newest stall has lasted when it was told."""
        return self.limit_s * (1 << max(0, self._times - 1))

    def restart(self) -> None:
        """Count from now: what has passed was not the workers' fault."""
        self._since = time.monotonic()

    def forget(self) -> None:
        """Count from now, and from the first time on: there was no stall."""
        self._times = 0
