"""The worker that `nightlabel run` starts: kept alive, and stopped in good order."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from common.child_process import deferred_signals, end_service, kill_service, last_lines, start_service
from common.errors import BrokerError, DatabaseError, ModelError, NightlabelError, UsageError, WorkersError
from common.settings import as_environment

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from common.settings import Settings

#: Exit statuses with which a worker says that starting it again would not help, and what each means.
_HOPELESS: dict[int, type[NightlabelError]] = {
    error.exit_status: error for error in (UsageError, ModelError, BrokerError, DatabaseError, WorkersError)
}
#: A worker that dies is started again after 1, 2, 4, … seconds, up to this many.
LONGEST_PAUSE_S = 30.0
#: Deaths in a row, with no chunk done between them, after which the run gives up.
MAX_DEATHS = 6
#: Lines of the worker's log that are searched for what it said of its end.
_WORDS_LINES = 1000


class LocalWorkers:
    """One `nightlabel worker` process with one child per CPU."""

    def __init__(self, settings: Settings, log: Path) -> None:
        # As text: what it says of its end is shown to people.
        self._environment = os.environ | as_environment(settings.model_copy(update={"log_format": "text"}))
        self._stop_timeout_s = settings.time_limit_s
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths = 0
        self._chunks_done = 0
        self._restart_at = 0.0

    def start(self) -> None:
        # -P: a folder called `worker` in the current folder must not stand in for ours.
        command = [sys.executable, "-P", "-m", "nightlabel", "worker"]
        with deferred_signals():  # a Ctrl-C before the process has its name here would leave it to itself
            self._process = start_service(command, self._log, self._environment)

    def keep_alive(self, chunks_done: int) -> str | None:
        """Start a dead worker again, after a pause that grows; return a sentence about it when it just died.

        Raises:
            NightlabelError: of the kind that the worker ended with, if starting it again would not help.
            WorkersError: it died again and again without getting anything done.

        """
        if chunks_done > self._chunks_done:
            self._chunks_done, self._deaths = chunks_done, 0
        status = self._process.poll() if self._process else None
        if status is None and self._process is not None:
            return None
        if self._process is None:
            if time.monotonic() >= self._restart_at:
                self.start()
            return None
        kill_service(self._process)  # what is left of it
        self._process = None
        if status in _HOPELESS:
            raise _HOPELESS[status](f"The worker ended. {self.last_words()}")
        self._deaths += 1
        if self._deaths >= MAX_DEATHS:
            raise WorkersError(
                f"The worker died {self._deaths} times in a row and got nothing done; the last time with status"
                f" {status}. It said: {self.last_words()}"
            )
        pause = min(LONGEST_PAUSE_S, 2.0 ** (self._deaths - 1))
        self._restart_at = time.monotonic() + pause
        return f"The worker ended with status {status}; starting it again in {pause:.0f} s"

    def stop(self) -> None:
        """Let the chunks in work end, and the worker with them; kill it if that takes over the time limit."""
        if self._process is None:
            return
        end_service(self._process, self._stop_timeout_s)
        self._process = None

    def restart(self) -> None:
        """Kill the workers and start them again: what they were doing is not lost."""
        if self._process:
            kill_service(self._process)
        self.start()

    def last_words(self) -> str:
        """Return the end of the worker's log."""
        lines = last_lines(self._log, _WORDS_LINES)
        telling = [line for line in lines if "CRITICAL" in line] or lines[-5:]
        return "\n".join(telling).removeprefix("nightlabel worker: ") or "It said nothing."
