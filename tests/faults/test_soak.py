"""A long steady load, in small: no process grows, and no worker falls silent. `make bench ARGS=soak` takes an hour."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from tests.faults.farm import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.farm import Farm

IMAGES = 1200
#: Images after which buffers and allocators have found their size.
WARM_UP = 400
#: Megabytes by which a process may still grow then: 25 kB an image. A decoded picture that stays costs 150 kB or more.
MAX_GROWTH_MB = 20
#: Seconds between two outcomes of one worker. A chunk takes a few, and a loaded machine pauses; a stall is 180.
MAX_SILENCE_S = 60


def test_under_a_steady_load_no_process_grows_and_no_worker_falls_silent(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    worker = farm.start_worker(2)
    follower = farm.follow(archive(IMAGES))
    farm.wait_for(WARM_UP)
    processes = [psutil.Process(worker.process.pid), *worker.children()]
    before_mb = [_rss_mb(process) for process in processes]
    while follower.poll() is None:
        after_mb = [_rss_mb(process) for process in processes]
        time.sleep(0.1)
    wait_for_end(follower)

    grown_mb = [after - before for before, after in zip(before_mb, after_mb, strict=True)]
    assert max(grown_mb) < MAX_GROWTH_MB, grown_mb
    assert farm.count("(select distinct worker from outcomes) w") == 2
    longest_s = farm.ask(
        "select max(silence) from (select (julianday(labelled_at) - lag(julianday(labelled_at))"
        " over (partition by worker order by labelled_at)) * 86400 as silence from outcomes)"
    )
    assert longest_s[0][0] < MAX_SILENCE_S
    farm.assert_whole(IMAGES)


def _rss_mb(process: psutil.Process) -> float:
    return float(process.memory_info().rss / 1e6)
