"""Is the archive still there?"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from archive.blocking import call_with_timeout
from archive.places import place_of
from common.errors import ArchiveError
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Seconds between two looks at the archive's folders.
ARCHIVE_EVERY_S = 2.0
#: Seconds without an answer after which the archive's disk counts as gone: a dead network share blocks who asks it.
ARCHIVE_SILENT_S = 60.0


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
                " Mount it and run the same command again."
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
