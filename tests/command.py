"""The `nightlabel` command as a person types it: a process of its own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psutil

from common.settings import ENV_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from common.settings import Settings

T = TypeVar("T")

#: Seconds after which whatever is waited for counts as never coming: many times as long as it takes on a busy machine.
#: Nothing is held against it but that it ends.
LONG_S = 240.0

#: Of what a command wrote, pytest shows so much where a test failed.
_LAST_CHARACTERS = 8000


#: `nightlabel ARGUMENT…` as a program for `python -c`, whose benchmark and comparison measure for moments only.
QUICK = """
import functools, sys
import runner.bench, worker.measure
from nightlabel.cli import main
runner.bench.DECODING_S = runner.bench.INFERENCE_S = 0.2
runner.bench.SYSTEM_S = 1.0
worker.measure.Assignment = functools.partial(worker.measure.Assignment, latency_requests=4, throughput_s=0.1)
main()
"""


class Nightlabel:
    """Runs `nightlabel …` in a folder, and ends at the close what it started."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.database = folder / "nightlabel.db"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        self.environment = inherited | {
            "NIGHTLABEL_WEIGHTS_DIR": str(settings.weights_dir),
            "NIGHTLABEL_CACHE_DIR": str(settings.cache_dir),
            "NIGHTLABEL_WORKERS": "2",
            "COLUMNS": "120",
        }
        self._started: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=2 * LONG_S)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def start(self, *arguments: object, within: Sequence[str] = (), **environment: str) -> subprocess.Popen[str]:
        """Start a command and return at once; `within`: the program that runs it elsewhere, as in another namespace."""
        process = subprocess.Popen(
            [*within, sys.executable, "-P", "-m", "nightlabel", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell starts background jobs with SIGINT and SIGQUIT ignored, and a job's children inherit that.
            preexec_fn=_heed_keys,  # noqa: PLW1509 - one system call
        )
        self._started.append(process)
        return process

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the SQLite database, without nightlabel."""
        connection = sqlite3.connect(self.database, timeout=30)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def wait_for(self, query: str, enough: int, timeout_s: float = LONG_S) -> int:
        """Wait until a query's single number is at least `enough`; return it."""

        def reached() -> int | None:
            try:
                number = int(self.sql(query)[0][0])
            except sqlite3.OperationalError:  # no table yet
                return None
            return number if number >= enough else None

        return wait_until(reached, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)  # its children die with it
            said = process.communicate()[1][-_LAST_CHARACTERS:]
            print(f"$ {process.args!r}: status {process.returncode}\n{said}")  # shown where a test failed


def _heed_keys() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as under nohup


@contextmanager
def paused_workers(run: subprocess.Popen[str]) -> Iterator[None]:
    """Hold a run's workers still meanwhile: on a fast machine, it would be over before it has been looked at."""
    children = psutil.Process(run.pid).children(recursive=True)
    workers = [process for process in children if process.name() != "redis-server"]
    assert workers
    for process in workers:
        process.suspend()
    try:
        yield
    finally:
        for process in workers:
            process.resume()


def wait_until_gone(processes: Iterable[psutil.Process]) -> None:
    """Wait until none of these processes is left."""
    left = psutil.wait_procs(list(processes), timeout=LONG_S)[1]
    assert not left, f"still there: {left}"


def wait_until(reached: Callable[[], T | None], timeout_s: float = LONG_S) -> T:
    """Return what `reached` returns once it is not None: soon where it is there soon, else asked ten times a second."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.01
    while (result := reached()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(pause_s)
        pause_s = min(1.3 * pause_s, 0.1)
    return result
