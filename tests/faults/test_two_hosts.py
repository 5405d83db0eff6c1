"""Two hosts, of which one is cut off: the other finishes, and what the first one comes back with is not stored."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.command import wait_until
from tests.faults.farm import SOON_AGAIN, VISIBILITY_S, wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.farm import Farm, Worker

IMAGES = 64


def processes(worker: Worker) -> list[psutil.Process]:
    return [*worker.children(), psutil.Process(worker.process.pid)]


@pytest.mark.parametrize("is_followed", [True, False], ids=["followed", "left alone"])
def test_a_host_that_is_cut_off_in_mid_chunk_leaves_it_to_the_other_and_doubles_nothing(
    either_farm: Farm, archive: Callable[[int], Path], is_followed: bool
) -> None:
    """SIGSTOP to all of a worker stands for the cut, which lasts longer than the visibility timeout.

    The chunk comes to the other host through who follows the run; and through Redis alone, where nobody does.
    """
    farm = either_farm
    cut_off = farm.start_held_worker(1, **SOON_AGAIN)
    producer = farm.follow(archive(IMAGES)) if is_followed else farm.nightlabel.start("enqueue", archive(IMAGES))
    farm.wait_until_none_is_left()  # it has a chunk in work
    for process in processes(cut_off):
        process.suspend()
    begun = time.monotonic()

    other = farm.start_worker(1, **SOON_AGAIN)
    wait_for_end(producer)

    farm.wait_for(IMAGES)
    wait_until(lambda: time.monotonic() - begun > VISIBILITY_S or None)
    stored = farm.stored()
    farm.go_on()
    for process in processes(cut_off):
        process.resume()

    assert "was stored by another worker in the meantime" in cut_off.stop()
    assert farm.stored() == stored
    assert {worker.split("-")[-1] for _, _, worker, _ in stored} == {f"{other.process.pid}/1"}
    farm.assert_whole(IMAGES)
