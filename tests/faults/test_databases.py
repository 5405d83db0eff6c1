"""A database that is locked, full, killed, or silent about a commit costs no image and gives none two outcomes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from broker.queue import depth, unacknowledged
from tests.command import wait_until
from tests.conftest import missing
from tests.faults.farm import Farm, wait_for_end, wait_to_say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from tests.command import Nightlabel
    from tests.servers import PostgresServer

IMAGES = 64
#: Seconds that a writer waits here.
BUSY = {"BUSY_S": "3"}
PUBLISHED = "chunks where published_at is not null and done_at is null"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the one lock that all writers need."""
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_a_database_that_is_locked_for_longer_than_a_writer_waits_is_waited_for(
    farm: Farm, archive: Callable[[int], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No chunk is acknowledged without a commit: the queue still has all that is missing; nobody publishes it again."""
    worker = farm.start_held_worker(2, **BUSY)
    folder = archive(IMAGES)
    farm.enqueue(folder)
    follower = farm.follow(folder, **BUSY)
    farm.wait_for(1, "runs where follower is not null")
    farm.wait_for(8)
    app = farm.app()
    with _locked(tmp_path / "night.db"):
        published, outcomes = farm.count(PUBLISHED), farm.count()
        farm.go_on()
        wait_to_say(worker.process, "goes back to the queue")
        wait_to_say(follower, "does not answer: database is locked")
        assert farm.count() == outcomes < IMAGES
        # Between a worker and the queue, a chunk that goes back is in neither for an instant.
        wait_until(lambda: depth(app) + unacknowledged(app) == published or None)
        follower.send_signal(signal.SIGSTOP)
    unlocked_at = time.monotonic()
    farm.wait_for(IMAGES)
    _tell(capsys, farm, "locked for longer than a writer waits", unlocked_at)
    follower.send_signal(signal.SIGCONT)
    wait_for_end(follower)

    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}
    assert worker.process.poll() is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mounting, check=False, stderr=subprocess.DEVNULL).returncode:
        missing("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def _fill(disk: Path) -> Path:
    """Take all the room that a disk has left; return the file to remove for it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def test_a_disk_that_is_full_ends_worker_and_follower_and_with_room_again_the_same_command_goes_on(
    small_disk: Path, nightlabel: Nightlabel, redis: PrivateRedis, archive: Callable[[int], Path]
) -> None:
    """Unlike a lock: waiting would not help, and a person must know."""
    farm = Farm(nightlabel, f"sqlite:///{small_disk / 'night.db'}", redis.url)
    folder = archive(IMAGES)
    worker = farm.start_held_worker(2)
    follower = farm.follow(folder)
    farm.wait_for(8)
    filler = _fill(small_disk)
    farm.go_on()
    for process in (worker.process, follower):
        errors = wait_for_end(process, status=5)

        assert "is full. Free some space and run the same command again" in errors
    assert farm.count() < IMAGES

    filler.unlink()
    farm.start_worker(2)
    again = farm.enqueue(folder, "--wait")

    assert again.returncode == 0, again.stderr
    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}


def test_a_postgres_that_is_killed_in_mid_run_and_started_again_is_waited_for(
    own_postgres: PostgresServer,
    nightlabel: Nightlabel,
    redis: PrivateRedis,
    archive: Callable[[int], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The follower and the worker wait for it unattended; what was committed is there, what was not is labelled."""
    farm = Farm(nightlabel, own_postgres.create_database("night"), redis.url)
    worker = farm.start_held_worker(2)
    follower = farm.follow(archive(IMAGES))
    farm.wait_for(16)
    own_postgres.kill()
    farm.go_on()
    for process in (worker.process, follower):
        wait_to_say(process, "does not answer")
    own_postgres.start()
    started_at = time.monotonic()
    wait_for_end(follower)

    _tell(capsys, farm, "Postgres killed", started_at)
    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}
    assert worker.process.poll() is None


def test_a_commit_that_succeeds_while_the_client_sees_an_error_gives_one_outcome(
    either_farm: Farm, archive: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The chunk goes back to the queue, and is found to be done: nothing of it is labelled again."""
    farm = either_farm
    farm.plant("error-after-commit", times=2)
    farm.start_worker(2, FAULT="error-after-commit")
    begun_at = time.monotonic()
    follower = farm.follow(archive(IMAGES))
    wait_for_end(follower)

    assert farm.faults_left() == 0
    _tell(capsys, farm, "two commits whose answer got lost", begun_at)
    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}
    assert farm.extra_starts() == 0


def _tell(capsys: pytest.CaptureFixture[str], farm: Farm, fault: str, over_at: float) -> None:
    with capsys.disabled():
        took_s = time.monotonic() - over_at
        print(f"\n{fault}: all labelled {took_s:.1f} s after it was over, {farm.extra_starts()} extra starts")
