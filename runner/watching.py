"""Whether workers stall, whether too much fails, whether the archive is there: watched while a run is followed."""

from __future__ import annotations

import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from archive.blocking import call_with_timeout
from archive.places import place_of
from common.errors import ArchiveError
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Progress

#: Images of which the share that failed is taken.
FAILURE_WINDOW = 1000
#: Seconds between two looks at the archive's folders.
ARCHIVE_EVERY_S = 2.0
#: Seconds without an answer after which the archive's disk counts as gone: a dead network share blocks who asks it.
ARCHIVE_SILENT_S = 60.0


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


class ArchiveWatch:
    """Looks at the archive's folders again and again, in a thread: a dead network share may block it for ever."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = [root for root in roots if not _is_single_image(root)]
        self._asked = ""  #: the root that the thread looks at
        self._problem: str | None = None
        self._heard_at = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="archive", daemon=True)

    def start(self) -> None:
        self._heard_at = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def check(self) -> None:
        """Raise as soon as a folder is gone.

        Raises:
            ArchiveError: it is missing, unreadable or empty, or its disk does not answer.

        """
        problem = self._problem
        if problem is None and time.monotonic() - self._heard_at > ARCHIVE_SILENT_S:
            problem = f"the disk of {shown(self._asked)} has not answered for {ARCHIVE_SILENT_S:.0f} s"
        if problem:
            raise ArchiveError(
                f"The archive is gone: {problem}. No image is marked as failed for it."
                " Mount it, and type the same command again."
            )

    def _watch(self) -> None:
        while not self._stop.wait(ARCHIVE_EVERY_S):
            problem = None
            for root in self._roots:
                self._asked = root
                reason = place_of(root).why_gone(root)
                self._heard_at = time.monotonic()
                if reason:
                    problem = problem or f"{shown(root)}: {reason}"
            self._problem = problem


def _is_single_image(root: str) -> bool:
    """Tell whether a root is one image: where that is gone, it is that image's concern."""
    try:
        return call_with_timeout(partial(place_of(root).is_single_image, root))
    except TimeoutError:
        return False
