"""A share that does not answer, for some of its files or at all: what is well is labelled, and everything ends."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.command import wait_until
from tests.dead_share import dead_share
from tests.faults.farm import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.farm import Farm

#: Seconds that a share may be silent: one that is well needs milliseconds.
SILENT = {"SILENT_S": "3"}
#: More than the threads that read ahead, and than one chunk's time limit would bear one after another.
HUNG = 12


def _hang(folder: Path, count: int = HUNG) -> list[Path]:
    """Rename some images to the name of those of which no byte ever comes."""
    images = sorted(folder.rglob("*.jpg"))[5 : 5 + count]
    return [image.rename(image.with_name(f"never-answers-{image.name}")) for image in images]


def test_files_that_never_answer_are_a_timeout_and_the_others_are_labelled(
    either_farm: Farm, archive: Callable[[int], Path]
) -> None:
    farm = either_farm
    folder = archive(90)
    hung = _hang(folder)
    worker = farm.start_worker(2, **SILENT)
    follower = farm.follow(folder)
    wait_for_end(follower)

    farm.assert_whole(90)
    kinds = farm.kinds()
    assert {name for name, kind in kinds.items() if kind == "timeout"} == {path.name for path in hung}
    assert list(kinds.values()).count("ok") == 90 - HUNG
    assert set(farm.errors()) == {"not read: its disk gave no answer for 3 s"}
    assert "never-answers" not in worker.stop()  # it ends, with its threads left behind


def test_files_that_answer_again_are_labelled_by_the_next_run(farm: Farm, archive: Callable[[int], Path]) -> None:
    folder = archive(20)
    hung = _hang(folder, 2)
    first = farm.nightlabel("run", folder, **SILENT)
    assert first.returncode == 0, first.stderr
    for path in hung:
        path.rename(path.with_name(path.name.removeprefix("never-answers-")))

    again = farm.nightlabel("run", folder, **SILENT)

    assert again.returncode == 0, again.stderr
    assert [kind for name, kind in farm.kinds().items() if not name.startswith("never")] == ["ok"] * 20


def test_ctrl_c_ends_a_run_whose_files_never_answer(farm: Farm, archive: Callable[[int], Path]) -> None:
    folder = archive(90)
    _hang(folder, 60)
    run = farm.nightlabel.start("run", folder, **SILENT)
    farm.wait_for(4)
    run.send_signal(signal.SIGINT)

    errors = wait_for_end(run, status=130)

    assert "Interrupted: " in errors
    assert "Traceback" not in errors


def test_a_share_that_falls_silent_is_named_and_fails_no_image(farm: Farm, archive: Callable[[int], Path]) -> None:
    folder = archive(120)
    worker = farm.start_worker(1, **SILENT)
    follower = farm.follow(folder)
    farm.wait_for(8)
    with dead_share(folder):
        assert worker.process.stderr
        said = next(line for line in worker.process.stderr if " is gone: it gives no answer" in line)
        assert str(folder) in said
        assert farm.errors() == []
    wait_for_end(follower)

    farm.assert_whole(120)
    assert set(farm.kinds().values()) == {"ok"}


@pytest.mark.parametrize("command", ["run", "enqueue", "bench", "compare"])
def test_a_share_that_does_not_answer_from_the_start_is_named_at_once(farm: Farm, tmp_path: Path, command: str) -> None:
    share = tmp_path / "share"
    share.mkdir()
    with dead_share(share):
        done = farm.nightlabel(command, share, **SILENT)

    assert done.returncode == 6, done.stderr
    assert f"{share} cannot be read: no answer for 3 s" in done.stderr
    assert "Traceback" not in done.stderr


def test_classify_names_a_file_that_never_answers_and_labels_the_others(
    farm: Farm, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    share, photo = tmp_path / "share", archive(1) / "000/00000.jpg"
    share.mkdir()
    with dead_share(share):
        done = farm.nightlabel("classify", photo, share / "1.jpg", **SILENT)

    assert done.returncode == 6, done.stderr
    assert "failed (timeout): not read: its disk gave no answer for 3 s" in done.stdout
    assert "%  " in done.stdout
    wait_until(lambda: share.is_dir() or None)
