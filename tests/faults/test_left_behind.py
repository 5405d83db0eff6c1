"""What a killed process leaves in the folder for temporary files is removed by the next one."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.farm import Farm

NIGHTLABEL = [sys.executable, "-P", "-m", "nightlabel", "worker", "--concurrency", "1"]
CELERY = [sys.executable, "-P", "-m", "celery", "-A", "worker", "worker", "--concurrency", "1"]


@pytest.fixture
def temporary(short_folder: Path, farm: Farm) -> Iterator[Path]:
    """A folder for the temporary files of the farm's processes alone."""
    folder = short_folder / "temporary"
    folder.mkdir(exist_ok=True)
    farm.nightlabel.environment["TMPDIR"] = str(folder)
    yield folder
    assert names(folder) == set()
    folder.rmdir()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def start(farm: Farm, command: list[str], temporary: Path) -> subprocess.Popen[bytes]:
    """Start a worker and wait until it has made its own temporary files."""
    before = names(temporary)
    process = subprocess.Popen(
        command,
        cwd=farm.nightlabel.folder,
        env=farm.nightlabel.environment,
        stdin=subprocess.DEVNULL,
    )
    wait_until(lambda: {path.parent.name for path in temporary.glob("nightlabel-*/pymp-*")} - before or None, 120)
    return process


@pytest.mark.parametrize("killed", [CELERY, NIGHTLABEL], ids=["celery -A worker worker", "nightlabel worker"])
def test_what_a_killed_worker_leaves_is_removed_by_the_next_one_and_that_of_a_living_one_is_not(
    farm: Farm, temporary: Path, killed: list[str]
) -> None:
    living = start(farm, CELERY, temporary)
    kept = names(temporary)
    process = start(farm, killed, temporary)
    (left,) = names(temporary) - kept
    process.kill()
    process.wait()
    assert (temporary / left).is_dir()

    following = start(farm, NIGHTLABEL, temporary)

    assert kept < names(temporary)
    assert left not in names(temporary)
    assert all(name.startswith("nightlabel-") for name in names(temporary)), "none is left outside"
    for worker in (living, following):
        worker.terminate()
        assert worker.wait(60) == 0
