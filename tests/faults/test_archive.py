"""An archive whose disk goes away, or much of it, marks no image as failed for good; a few files that go fail alone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.faults.farm import wait_for_end, wait_to_say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.farm import Farm

IMAGES = 64
FAILED = "outcomes where status = 'failed'"
#: Of the newest 1,000 images more than half must fail before a run stops.
MANY = 1200
#: Real photos behind the many, so that there is something left to do when the run stops.
PHOTOS = 48
#: They take long, so that there is something left however late the failures are noticed; in small chunks, for whose end
#: the stop waits.
SLOWLY = {"DECODE_S": "0.5", "NIGHTLABEL_CHUNK_SIZE": "8"}


def _unmount(archive: Path, *, to: Path, leave_mount_point: bool) -> None:
    """Do to a folder what happens to a disk that is pulled out."""
    archive.rename(to)
    if leave_mount_point:
        archive.mkdir()


@pytest.mark.parametrize("leave_mount_point", [False, True], ids=["no folder left", "an empty folder left"])
def test_an_archive_that_is_gone_in_mid_run_ends_the_run_and_fails_no_image(
    farm: Farm, archive: Callable[[int], Path], tmp_path: Path, leave_mount_point: bool
) -> None:
    folder, elsewhere = archive(IMAGES), tmp_path / "elsewhere"
    farm.plant("stand-still")
    run = farm.nightlabel.start("run", folder, FAULT="stand-still")
    farm.wait_for(8)
    _unmount(folder, to=elsewhere, leave_mount_point=leave_mount_point)
    farm.go_on()
    errors = wait_for_end(run, status=6)

    assert f"The archive is gone: {folder}" in errors
    assert "Traceback" not in errors
    assert farm.count() < IMAGES
    assert farm.errors() == []

    if leave_mount_point:
        folder.rmdir()
    elsewhere.rename(folder)
    again = farm.nightlabel("run", folder)

    assert again.returncode == 0, again.stderr
    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}


def test_an_archive_that_goes_while_its_files_are_open_fails_no_image(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    """A file that is open then lies elsewhere, or nowhere, and is yet no link that leads out of the archive."""
    folder = archive(IMAGES)
    farm.plant("archive-goes")
    run = farm.nightlabel("run", folder, FAULT="archive-goes", NIGHTLABEL_CHUNK_SIZE="1")

    assert run.returncode == 6, run.stderr
    assert farm.faults_left() == 0
    assert farm.errors() == []

    folder.with_name("archive-gone").rename(folder)
    again = farm.nightlabel("run", folder)

    assert again.returncode == 0, again.stderr
    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}


def test_an_archive_that_is_gone_where_the_workers_are_is_waited_for(
    farm: Farm, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    """A host without the share fails no image either; mounted again, it goes on by itself."""
    folder, elsewhere = archive(IMAGES), tmp_path / "elsewhere"
    worker = farm.start_held_worker(2)
    follower = farm.follow(folder)
    farm.wait_for(8)
    _unmount(folder, to=elsewhere, leave_mount_point=False)
    farm.go_on()
    wait_to_say(worker.process, "is gone: No such file or directory. Is its disk mounted here?")
    assert farm.errors() == []
    elsewhere.rename(folder)
    wait_for_end(follower)

    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}


def _many_that_fail_fast(folder: Path) -> Path:
    """Make more files than a run lets fail, each no image; they come before the photos."""
    many = folder / "0"
    many.mkdir()
    (many / "0000.jpg").write_text("no image")
    for number in range(1, MANY):
        (many / f"{number:04}.jpg").hardlink_to(many / "0000.jpg")
    return many


def test_a_run_of_which_most_images_vanish_stops_and_tries_them_again_when_they_are_back(
    farm: Farm, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    """The folder of the archive is there, with photos in it: only the share that fails tells."""
    folder = archive(PHOTOS)
    many = _many_that_fail_fast(folder)
    farm.enqueue(folder, **SLOWLY)
    many.rename(tmp_path / "elsewhere")
    run = farm.nightlabel("run", folder, **SLOWLY)

    _is_stopped_for(run.stderr, run.returncode, "vanished", many)

    (tmp_path / "elsewhere").rename(many)
    again = farm.nightlabel("run", folder, NIGHTLABEL_MAX_FAILURE_SHARE="1")

    assert again.returncode == 0, again.stderr
    _assert_each_was_tried_again(farm)


def test_a_run_that_may_not_read_most_images_stops_and_tries_them_again_when_it_may(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    """The files do not change, so nothing but the run that stopped says that they are to be tried again."""
    folder = archive(PHOTOS)
    many = _many_that_fail_fast(folder)
    (many / "0000.jpg").chmod(0)
    run = farm.nightlabel("run", folder, HEED_PERMISSIONS="1", **SLOWLY)

    _is_stopped_for(run.stderr, run.returncode, "unreadable", many)

    (many / "0000.jpg").chmod(0o644)
    again = farm.nightlabel("run", folder, HEED_PERMISSIONS="1", NIGHTLABEL_MAX_FAILURE_SHARE="1")

    assert again.returncode == 0, again.stderr
    _assert_each_was_tried_again(farm)


def _is_stopped_for(errors: str, status: int, kind: str, many: Path) -> None:
    assert status == 6, errors
    assert "Of the last 1,000 images, " in errors
    assert f"% failed; most of this run are `{kind}`, like {many}/" in errors
    assert "Traceback" not in errors


def _assert_each_was_tried_again(farm: Farm) -> None:
    farm.assert_whole(PHOTOS + MANY)
    by_kind = farm.ask("select coalesce(error_kind, status), count(*) from results group by 1 order by 1")
    assert by_kind == [("not_an_image", MANY), ("ok", PHOTOS)]


def test_a_few_images_that_vanish_fail_alone(farm: Farm, archive: Callable[[int], Path]) -> None:
    folder = archive(100)
    farm.enqueue(folder)
    gone = ["00007.jpg", "00031.jpg"]
    for name in gone:
        (folder / "000" / name).unlink()
    shutil.rmtree(folder / "001")  # and a whole folder of them
    gone += [f"{number:05}.jpg" for number in range(50, 100)]
    run = farm.nightlabel("run", folder)

    assert run.returncode == 0, run.stderr
    farm.assert_whole(100)
    assert {name for name, kind in farm.kinds().items() if kind == "vanished"} == set(gone)
    assert farm.count(FAILED) == len(gone)
