"""What a worker process says of itself over time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import psutil
import pytest

import worker.samples
from storage.outcomes import Stored
from worker.chunk_middleware import ChunkResult
from worker.samples import ProcessSampler

if TYPE_CHECKING:
    from storage.chunk_claims import Claim


def test_samples_are_kept_every_few_seconds_and_hold_what_the_process_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(worker.samples, "monotonic", lambda: now)
    sampler = ProcessSampler("host-7/1", os.getppid())
    sampler.after(cast("Claim", None), ChunkResult(stored=Stored.DONE, outcomes=(), store_s=1.5))
    own, main = sampler.kept()
    assert (own.worker, main.worker) == ("host-7/1", "host-7")
    assert (own.pid, main.pid) == (os.getpid(), os.getppid())
    assert own.rss_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert own.cpu_s > 0
    assert (own.store_s, main.store_s) == (1.5, None)
    now += 4.9
    assert sampler.kept() == []
    now += 0.2
    assert len(sampler.kept()) == 2
