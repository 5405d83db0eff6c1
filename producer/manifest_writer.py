"""The run's manifest, written beside the labelling."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from producer.enqueue import Enqueued

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

#: Seconds that the scan is given to notice that it is to stop.
_STOP_S = 5.0


class ManifestWriter:
    """Writes a run's manifest beside the labelling, in a thread of its own, while the block lasts."""

    def __init__(self, write: Callable[[Enqueued, threading.Event], None]) -> None:
        self._write = write
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        self.enqueued = Enqueued()  #: what was found so far
        self.is_complete = False  #: all that is to be labelled is in the manifest

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

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _target(self) -> None:
        try:
            self._write(self.enqueued, self._stop)
            self.is_complete = not self._stop.is_set()
        except Exception as error:  # noqa: BLE001 - carried over to the thread that follows the run
            self._error = error
