"""What is watched while a run is followed: stalls, failures, and the archive's disk."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

import runner.archive_watch
from archive.places.folder import LocalFolder
from common.errors import ArchiveError
from runner.archive_watch import ArchiveWatch
from runner.failure_watch import FAILURE_WINDOW, FailureWatch
from runner.stall_watch import StallWatch
from storage.records import Progress
from tests.command import wait_until

if TYPE_CHECKING:
    from pathlib import Path

#: 640 images in ten chunks, all of them on the queue.
PUBLISHED = Progress(images=640, chunks=10)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds, as the watches see it: to be set."""
    now = [1000.0]
    monkeypatch.setattr("runner.stall_watch.time.monotonic", lambda: now[0])
    return now


def labelled(ok: int, failed: int = 0) -> Progress:
    return Progress(images=10_000, ok=ok, failed=failed, chunks=100)


def test_workers_that_get_nothing_done_have_stalled_again_and_again(clock: list[float]) -> None:
    watch = StallWatch(limit_s=5)
    assert watch.times_stalled(PUBLISHED) == 0
    for times in (1, 2):  # the second one lasts twice as long
        clock[0] += 6 * times
        assert [watch.times_stalled(PUBLISHED), watch.times_stalled(PUBLISHED)] == [times, 0]


def test_each_stall_is_waited_for_twice_as_long_as_the_one_before(clock: list[float]) -> None:
    """A busy machine may take longer than one for its workers' start, which must not be a verdict on them."""
    clock[0] = 0
    watch = StallWatch(limit_s=5)
    told = []
    for second in range(100):
        clock[0] = second
        if watch.times_stalled(PUBLISHED):
            told.append((second, watch.lasted_s))

    assert told == [(5, 5), (15, 10), (35, 20), (75, 40)]


def test_every_outcome_begins_the_count_anew(clock: list[float]) -> None:
    watch = StallWatch(limit_s=5)
    watch.times_stalled(labelled(0))
    clock[0] += 6
    assert watch.times_stalled(labelled(1)) == 0
    clock[0] += 6
    assert watch.times_stalled(labelled(1)) == 1


def test_workers_without_work_have_not_stalled(clock: list[float]) -> None:
    watch = StallWatch(limit_s=5)
    all_waits = Progress(images=640, chunks=10, chunks_waiting=10)
    watch.times_stalled(all_waits)
    clock[0] += 6
    assert watch.times_stalled(all_waits) == 0


def test_an_outage_of_something_else_is_not_held_against_the_workers(clock: list[float]) -> None:
    watch = StallWatch(limit_s=5)
    watch.times_stalled(PUBLISHED)
    clock[0] += 6
    watch.restart()
    assert watch.times_stalled(PUBLISHED) == 0


def test_the_share_that_failed_is_that_of_the_newest_images() -> None:
    watch = FailureWatch()
    assert watch.share(labelled(0)) == 0
    assert watch.share(labelled(5 * FAILURE_WINDOW)) == 0
    half = labelled(5 * FAILURE_WINDOW + FAILURE_WINDOW // 2, FAILURE_WINDOW // 2)
    assert watch.share(half) == pytest.approx(0.5)


def test_a_few_images_are_no_share_yet() -> None:
    watch = FailureWatch()
    watch.share(labelled(0))
    assert watch.share(labelled(0, FAILURE_WINDOW - 1)) == 0
    assert watch.share(labelled(0, FAILURE_WINDOW)) == 1


def test_what_failed_before_the_watch_began_does_not_count() -> None:
    watch = FailureWatch()
    assert watch.share(labelled(0, 5 * FAILURE_WINDOW)) == 0
    assert watch.share(labelled(FAILURE_WINDOW, 5 * FAILURE_WINDOW)) == 0


def test_images_that_wait_for_their_labels_again_begin_the_window_anew() -> None:
    watch = FailureWatch()
    watch.share(labelled(0, 2 * FAILURE_WINDOW))
    watch.share(labelled(0, 100))  # those that failed were found again
    assert watch.share(labelled(FAILURE_WINDOW, 100)) == 0


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The roots that were looked at: an archive is looked at again and again, with hardly a pause."""
    seen: list[str] = []

    really = LocalFolder.why_gone

    def noted(place: LocalFolder, root: str) -> str | None:
        reason = really(place, root)
        seen.append(root)
        return reason

    monkeypatch.setattr(runner.archive_watch, "ARCHIVE_EVERY_S", 0.01)
    monkeypatch.setattr(LocalFolder, "why_gone", noted)
    return seen


def wait_for_a_whole_look(looks: list[str]) -> None:
    """Wait until the archive was looked at once more, and that was taken note of."""
    enough = len(looks) + 2  # the first may be one that was under way
    wait_until(lambda: len(looks) > enough or None)


def problem_of(watch: ArchiveWatch) -> str | None:
    try:
        watch.check()
    except ArchiveError as error:
        return str(error)
    return None


def test_a_folder_that_is_moved_away_or_emptied_is_gone_and_is_well_when_it_is_back(
    tmp_path: Path, looks: list[str]
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    photo = archive / "a.jpg"
    photo.touch()
    watch = ArchiveWatch([str(archive)])
    watch.start()
    wait_for_a_whole_look(looks)
    assert problem_of(watch) is None

    archive.rename(tmp_path / "away")
    assert f"{archive}: No such file" in wait_until(lambda: problem_of(watch))
    (tmp_path / "away").rename(archive)
    wait_until(lambda: problem_of(watch) is None or None)
    photo.unlink()
    assert "it is empty" in wait_until(lambda: problem_of(watch))
    watch.stop()


def test_a_disk_that_does_not_answer_counts_as_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share whose server is away blocks whoever asks it, and cannot be had here: the answer is held back instead."""
    answer = threading.Event()
    monkeypatch.setattr(LocalFolder, "why_gone", lambda *_: answer.wait())
    monkeypatch.setattr(runner.archive_watch, "ARCHIVE_EVERY_S", 0.01)
    monkeypatch.setattr(runner.archive_watch, "ARCHIVE_SILENT_S", 0.1)
    watch = ArchiveWatch([str(tmp_path)])
    watch.start()
    assert f"the disk of {tmp_path} has not answered" in wait_until(lambda: problem_of(watch))
    watch.stop()
    answer.set()


def test_an_archive_that_is_one_file_fails_by_itself(tmp_path: Path, looks: list[str]) -> None:
    photo = tmp_path / "a.jpg"
    photo.touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.jpg").touch()
    watch = ArchiveWatch([str(photo), str(tmp_path / "folder")])
    watch.start()
    photo.unlink()
    wait_for_a_whole_look(looks)
    assert problem_of(watch) is None
    assert str(photo) not in looks
    watch.stop()
