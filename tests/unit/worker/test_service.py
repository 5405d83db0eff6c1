"""What the main process of a worker sets up, before it forks those that label."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

_HEAPS = """
import ctypes, sys, threading
from worker.service import make_worker_app
from common.settings import load_settings

if sys.argv[1:] == ["a worker"]:
    make_worker_app(load_settings(broker_url="redis://localhost"))
kept = []
threads = [threading.Thread(target=lambda: kept.append(bytes(100_000))) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()
"""


def _heaps(*arguments: str) -> int:
    done = subprocess.run([sys.executable, "-c", _HEAPS, *arguments], capture_output=True, text=True, check=True)
    return done.stderr.count("Arena ")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_stats"), reason="glibc's allocator is not there")
def test_the_threads_of_a_worker_share_one_heap() -> None:
    assert _heaps() > 1
    assert _heaps("a worker") == 1
