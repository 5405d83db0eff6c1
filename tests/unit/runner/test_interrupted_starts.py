"""What is interrupted while it starts leaves neither a process nor a folder behind."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

#: Interrupted by the hook that Python calls in the parent once it has forked: the child is there, and has no name yet.
_PROGRAM = """
import os, signal, subprocess, sys
from pathlib import Path
from types import SimpleNamespace

import psutil

from broker import private_redis
from broker.private_redis import PrivateRedis
from common.settings import Settings
from host import private_folder
from host.private_folder import private_folder as own_folder
from runner.local_workers import LocalWorkers

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background
interrupt = lambda *_: signal.raise_signal(signal.SIGINT)
folder = Path(sys.argv[1])

def redis():
    os.register_at_fork(after_in_parent=interrupt)
    with PrivateRedis(folder):
        pass

def redis_that_does_not_listen_yet():
    private_redis.time = SimpleNamespace(monotonic=interrupt)  # asked once it is launched
    with PrivateRedis(folder):
        pass

def workers():
    os.register_at_fork(after_in_parent=interrupt)
    workers = LocalWorkers(Settings(), folder / "worker.log")
    try:
        workers.start()
    finally:
        workers.stop()

def scratch_folder():
    real = private_folder._lock_new
    private_folder._lock_new = lambda path: (interrupt(), real(path))[1]
    with own_folder():
        pass

try:
    globals()[sys.argv[2]]()
except KeyboardInterrupt:
    print("interrupted", psutil.Process().children(), sorted(Path(os.environ["TMPDIR"]).iterdir()))
"""


@pytest.mark.parametrize("started", ["redis", "redis_that_does_not_listen_yet", "workers", "scratch_folder"])
def test_an_interrupt_leaves_nothing_behind(started: str, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PROGRAM, str(tmp_path), started],
        env={"TMPDIR": str(temporary), "NIGHTLABEL_TIME_LIMIT_S": "60"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("interrupted [] []\n", "")
