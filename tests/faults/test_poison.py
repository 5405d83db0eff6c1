"""An image that ends whoever labels it costs itself, and names what ended the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.farm import plant, wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.farm import Farm

IMAGES = 64
POISON = "00042.jpg"


@pytest.mark.parametrize(
    ("fault", "limit_mb", "kind", "named"),
    [
        ("segfault", "", "poison", "signal 11 (SIGSEGV)"),
        ("memory", "600", "poison", "signal 11 (SIGSEGV)"),  # malloc returned NULL, and the decoder wrote there
        ("kill", "", "poison", "signal 9 (SIGKILL)"),  # as the kernel does when memory runs out
    ],
)
def test_a_poison_image_fails_with_the_signal_and_the_others_are_labelled(
    farm: Farm, archive: Callable[[int], Path], fault: str, limit_mb: str, kind: str, named: str
) -> None:
    folder = archive(IMAGES)
    plant(folder / "000" / POISON, fault)
    limit = {"NIGHTLABEL_MEMORY_LIMIT_MB": limit_mb} if limit_mb else {}
    poisoned, other = farm.start_worker(**limit), farm.start_worker(**limit)

    follower = farm.follow(folder)
    wait_for_end(follower)

    farm.assert_whole(IMAGES)
    kinds = farm.kinds()
    assert kinds.pop(POISON) == kind
    assert set(kinds.values()) == {"ok"}
    assert named in farm.errors()[0]
    assert poisoned.process.poll() is other.process.poll() is None  # no worker went down with its child


def test_an_image_that_hangs_holding_the_gil_ends_at_the_hard_limit(farm: Farm, archive: Callable[[int], Path]) -> None:
    folder = archive(IMAGES)
    plant(folder / "000" / POISON, "hang")
    worker = farm.start_worker(2, NIGHTLABEL_TIME_LIMIT_S="6")

    follower = farm.follow(folder, NIGHTLABEL_TIME_LIMIT_S="6")
    wait_for_end(follower)

    farm.assert_whole(IMAGES)
    kinds = farm.kinds()
    assert kinds.pop(POISON) == "timeout"
    assert set(kinds.values()) == {"ok"}
    assert "time limit of 6 s" in farm.errors()[0]
    assert len(worker.children()) == 2
