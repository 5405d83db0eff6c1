"""`nightlabel retry` beside a program that serves others: one at a time, and ended with it in good order."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from common.child_process import end_service, last_lines, start_service
from common.errors import INTERRUPTED_EXIT_STATUS, UsageError
from common.settings import ENV_PREFIX, as_environment
from host.private_folder import private_folder

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from common.settings import Settings

#: Seconds beyond the time limit of a chunk in which a retry ends, once it is told to; then it is killed.
_GRACE_S = 20
#: Lines of its log that are shown.
_LINES = 12
#: Nothing that a run needs, and for nobody else's eyes.
_WEB_TOKEN = f"{ENV_PREFIX}WEB_TOKEN"


class RetryService:
    """Retries failed images in a process of its own, with the settings of this one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.model_copy(update={"web_token": None})
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Path | None = None
        #: The kernel ends a child together with the thread that began it (prctl(2), PR_SET_PDEATHSIG), and threads of a
        #: server come and go: this one stays until `stop`.
        self._thread: ThreadPoolExecutor | None = None

    @property
    def is_running(self) -> bool:
        process = self._process
        return process is not None and process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """How the newest retry ended; None: it runs, or there was none."""
        process = self._process
        return process.poll() if process else None

    @property
    def has_failed(self) -> bool:
        """Whether the newest retry ended otherwise than done, or stopped by a person."""
        return self.exit_status not in (None, 0, INTERRUPTED_EXIT_STATUS)

    def start(self, kinds: Sequence[str]) -> None:
        """Begin to label the failed images again, in a process that ends with this one at the latest.

        Args:
            kinds: only failures of these kinds; none: of any.

        Raises:
            UsageError: one is running already.
            FolderError: there is nowhere for its log.

        """
        with self._lock:
            if self.is_running:
                raise UsageError("A retry is running already. Wait for its end, or stop its run.")
            self._stack.close()
            folder = self._stack.enter_context(private_folder())
            self._log = folder / "retry.log"
            # -P: a folder called `nightlabel` in the current folder must not stand in for ours.
            command = [sys.executable, "-P", "-m", "nightlabel", "retry"]
            for kind in kinds:
                command += ["--kind", kind]
            environment = {name: value for name, value in os.environ.items() if name != _WEB_TOKEN}
            environment |= as_environment(self._settings)
            self._thread = self._thread or ThreadPoolExecutor(1, "retry")
            self._process = self._thread.submit(start_service, command, self._log, environment).result()

    def last_words(self) -> list[str]:
        """Return the last lines of what the newest retry has said."""
        with suppress(OSError):
            return last_lines(self._log, _LINES) if self._log else []
        return []

    def stop(self) -> None:
        """Let the chunks in work end, and the retry with them; kill it if that takes too long."""
        with self._lock:
            if self._process is not None and self.is_running:
                end_service(self._process, self._settings.time_limit_s + _GRACE_S)
            self._stack.close()
            self._process = self._log = None
            if self._thread:
                self._thread.shutdown()
            self._thread = None
