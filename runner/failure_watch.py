"""When do so many images fail that the images are not the cause?"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.records import Progress

#: Images of which the share that failed is taken.
FAILURE_WINDOW = 1000


class FailureWatch:
    """Tells which share of the newest `FAILURE_WINDOW` images failed."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque()

    def share(self, progress: Progress) -> float:
        """Return the share, 0…1; 0 until so many images have their outcome since the watch began."""
        now = (progress.labelled, progress.failed)
        if self._seen and progress.labelled < self._seen[-1][0]:  # changed images wait for their labels again
            self._seen.clear()
        if not self._seen or now != self._seen[-1]:
            self._seen.append(now)
        while len(self._seen) > 1 and progress.labelled - self._seen[1][0] >= FAILURE_WINDOW:
            self._seen.popleft()
        labelled, failed = (after - before for after, before in zip(now, self._seen[0], strict=True))
        return max(0, failed) / labelled if labelled >= FAILURE_WINDOW else 0.0
