"""An engine that raises an error costs no image its labels, and nobody is said to have died."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.command import wait_until
from tests.faults.farm import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.farm import Farm

IMAGES = 24


def test_an_engine_that_raises_once_costs_one_start(farm: Farm, archive: Callable[[int], Path]) -> None:
    farm.plant("engine-raises")
    worker = farm.start_worker(FAULT="engine-raises")
    (first,) = wait_until(lambda: worker.children() or None)

    wait_for_end(farm.follow(archive(IMAGES)))

    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}
    assert farm.extra_starts() == 1
    (second,) = worker.children()
    assert first.pid != second.pid  # what raised is not to be trusted
    said = worker.stop()
    assert "planted: the device is gone" in said
    assert "died" not in said


def test_an_engine_that_raises_at_the_third_batch_of_every_process_labels_all_in_the_end(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    worker = farm.start_worker(ENGINE_RAISES="third")

    wait_for_end(farm.follow(archive(IMAGES)))

    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}
    assert worker.process.poll() is None


def test_an_engine_that_always_raises_ends_the_run_and_blames_no_image(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    worker = farm.start_worker(ENGINE_RAISES="always")
    farm.enqueue(archive(IMAGES))

    errors = wait_for_end(worker.process, status=7)

    assert farm.count() == 0
    assert "the model answered for no picture" in errors
    assert "planted: the device is gone" in errors
    farm.start_worker()
    farm.wait_for(IMAGES)
    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}


def test_a_run_whose_engine_always_raises_says_why_it_ends(farm: Farm, archive: Callable[[int], Path]) -> None:
    run = farm.nightlabel("run", archive(IMAGES), "--workers", "1", ENGINE_RAISES="always")

    assert run.returncode == 7
    assert "planted: the device is gone" in run.stderr
    assert "lost" not in run.stderr
    assert "Traceback" not in run.stderr
    assert farm.count() == 0


def test_an_answer_that_is_no_probability_is_an_error_and_no_label(farm: Farm, archive: Callable[[int], Path]) -> None:
    """NaN has a best class too, and it is a tench."""
    worker = farm.start_worker(ENGINE_RAISES="nan")
    farm.enqueue(archive(IMAGES))

    errors = wait_for_end(worker.process, status=7)

    assert farm.count() == 0
    assert "no probabilities" in errors


@pytest.mark.parametrize("position", ["00000.jpg", "00012.jpg"])
def test_an_image_on_which_the_engine_alone_raises_again_is_to_blame_and_the_others_are_labelled(
    farm: Farm, archive: Callable[[int], Path], position: str
) -> None:
    folder = archive(IMAGES)
    Image.new("RGB", (300, 300)).save(folder / "000" / position)
    farm.start_worker(ENGINE_RAISES="image")

    wait_for_end(farm.follow(folder))

    farm.assert_whole(IMAGES)
    kinds = farm.kinds()
    assert kinds.pop(position) == "engine"
    assert set(kinds.values()) == {"ok"}
    (error,) = farm.errors()
    assert "planted: the device is gone" in error
    assert "died" not in error


def test_an_archive_of_one_image_on_which_the_engine_raises_fails_with_the_error(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    folder = archive(1)
    Image.new("RGB", (300, 300)).save(folder / "000" / "00000.jpg")
    farm.start_worker(ENGINE_RAISES="image")

    wait_for_end(farm.follow(folder))

    assert farm.kinds() == {"00000.jpg": "engine"}
