"""Who may be asked to end a run: whoever follows it on this machine, and once."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from common.errors import UsageError
from host.process import process_identity
from runner.stop import Stopper, why_not_from_here
from storage.records import Run
from tests.processes import start_python
from tests.unit.storage.nights import MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.records import RunState

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
#: Notes each signal, and ends when it is killed: a run that lets its chunks in work end takes a while.
FOLLOWER = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
print("ready", flush=True)
while True:
    time.sleep(60)
"""


def followed_by(process: str | None, state: RunState = "labelling") -> Run:
    return Run(
        id=3,
        model_id=1,
        model=MODEL,
        engine="openvino",
        roots=("/photos",),
        state=state,
        created_at=NOW,
        follower=process and "nas:17",
        follower_process=process,
        followed_at=NOW - timedelta(seconds=2) if process else None,
        skipped=0,
        ignored=0,
    )


@pytest.fixture
def follower() -> Iterator[subprocess.Popen[str]]:
    with start_python(FOLLOWER) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_whoever_follows_a_run_is_asked_once(follower: subprocess.Popen[str]) -> None:
    """A second signal would have it kill what is in work."""
    run, stopper = followed_by(process_identity(follower.pid)), Stopper()
    stopper.stop(run, NOW)
    assert follower.stdout
    assert follower.stdout.readline() == "asked\n"

    with pytest.raises(UsageError, match="being stopped already"):
        stopper.stop(run, NOW)

    with suppress(subprocess.TimeoutExpired):
        follower.wait(0.3)
    follower.kill()
    assert follower.stdout.read() == ""
    assert stopper.asked == {run.follower_process}


def test_a_follower_elsewhere_is_named() -> None:
    run = followed_by("another boot/pid:[1]/17/0.50")
    assert "followed by nas:17, on another machine" in str(why_not_from_here(run, NOW))
    with pytest.raises(UsageError, match="nas:17"):
        Stopper().stop(run, NOW)


def test_what_nobody_follows_is_not_stopped() -> None:
    machine, pid, started = process_identity(os.getpid()).rsplit("/", 2)
    ended = f"{machine}/{pid}/{float(started) - 60:.2f}"
    for process in (None, ended):
        assert "Nobody follows run 3" in str(why_not_from_here(followed_by(process), NOW))
    silent = replace(followed_by("another boot/pid:[1]/17/0.50"), followed_at=NOW - timedelta(hours=1))
    assert "Nobody follows run 3" in str(why_not_from_here(silent, NOW))


@pytest.mark.parametrize("state", ["finished", "cancelled"])
def test_what_is_over_is_not_stopped(state: RunState) -> None:
    run = followed_by(process_identity(os.getpid()), state)
    assert why_not_from_here(run, NOW) == f"Run 3 is {state} already."
