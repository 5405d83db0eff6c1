"""What a worker process says of itself over time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil
import pytest

import worker.process
from worker.process import WorkerProcess

if TYPE_CHECKING:
    from common.settings import Settings


def test_samples_are_kept_every_few_seconds_and_hold_what_the_process_holds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(worker.process, "monotonic", lambda: now)
    process = WorkerProcess(settings, os.getppid())
    process.store_s = 1.5
    own, main = process.history()
    assert (own.worker, main.worker) == (f"{process.name}", process.name.removesuffix("/1"))
    assert (own.pid, main.pid) == (os.getpid(), os.getppid())
    assert own.rss_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert own.cpu_s > 0
    assert (own.store_s, main.store_s) == (1.5, None)
    now += 4.9
    assert process.history() == []
    now += 0.2
    assert len(process.history()) == 2
    process.database.close()
