"""The run's manifest, written beside the labelling."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from producer.enqueue import Enqueued

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that the scan is given to notice that it is to stop.
_STOP_S = 5.0


class ManifestWriter:
    """Writes a run's manifest beside the labelling, in a thread of its own."""

    def __init__(self, write: Callable[[Enqueued, threading.Event], None]) -> None:
        self._write = write
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        self.enqueued = Enqueued()
        self.is_complete = False

    def start(self) -> None:
        self._thread = threading.Thread(target=self._target, name="manifest", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what ended the writer: it has waited for the database itself, where that was of use."""
        if self._error:
            raise self._error

    def stop(self) -> None:
        """Ask the writer to end. One that hangs on a dead network share is left behind: it ends with the process."""
        self._stop.set()
        if self._thread:
            self._thread.join(_STOP_S)

    def _target(self) -> None:
        try:
            self._write(self.enqueued, self._stop)
            self.is_complete = not self._stop.is_set()
        except Exception as error:  # noqa: BLE001 - carried over to the thread that follows the run
            self._error = error
