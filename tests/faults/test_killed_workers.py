"""Workers that are killed, at any moment and in any way, cost no image and give none two outcomes."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.command import wait_until, wait_until_gone
from tests.faults.farm import wait_for_end
from tests.unit.broker.queues import UNACKNOWLEDGED, raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from tests.faults.farm import Farm

#: Seconds that a model takes to load here: Celery would by itself kill a child that takes over 4.
SLOW_LOAD_S = 6
#: A chunk that hangs is not given up within any test.
NO_TIME_LIMIT = {"NIGHTLABEL_TIME_LIMIT_S": "3600"}
#: What hangs is given up soon, and small chunks are done within that time on any machine.
HANGS_ARE_SOON_SEEN = {"NIGHTLABEL_STALL_S": "5", "NIGHTLABEL_TIME_LIMIT_S": "3", "NIGHTLABEL_CHUNK_SIZE": "4"}


def test_a_message_that_is_lost_between_redis_and_a_worker_is_published_again(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path]
) -> None:
    """A worker that is stopped while it waits for a message takes one and notes nothing of it; then it is killed."""
    folder = archive(64)
    farm.enqueue(folder)
    with raw(redis) as client:
        messages = client.lrange(farm.key(), 0, -1)
        client.delete(farm.key())
        worker = farm.start_worker()
        worker.wait_until_ready()
        while True:  # a worker waits for a second, and looks after its other affairs in between
            os.kill(worker.process.pid, signal.SIGSTOP)
            client.lpush(farm.key(), *messages)
            if client.llen(farm.key()) < len(messages):
                break
            client.delete(farm.key())
            os.kill(worker.process.pid, signal.SIGCONT)
        assert client.hlen(UNACKNOWLEDGED) == 0  # it is nowhere
    worker.kill()

    farm.start_worker()
    follower = farm.follow(folder)
    wait_for_end(follower)

    assert farm.count("chunks where attempt > 1") == 1
    farm.assert_whole(64)


#: Images that are left for the time after the last kill.
SPARED = 100


@pytest.mark.parametrize(
    ("kills", "images"), [(6, 240), pytest.param(100, 5000, marks=[pytest.mark.long, pytest.mark.timeout(1500)])]
)
def test_a_storm_of_kills_loses_nothing_and_doubles_nothing(
    either_farm: Farm, archive: Callable[[int], Path], kills: int, images: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL to whole workers at random moments, from before they are ready to the middle of a chunk."""
    farm = either_farm
    draw = random.Random(kills)  # noqa: S311 - a storm, not a secret
    workers = [farm.start_worker(), farm.start_worker()]
    killed_with = []

    def kill_one() -> None:
        victim = draw.randrange(2)
        assert workers[victim].process.poll() is None
        workers[victim].kill()
        killed_with.append(workers[victim].process.returncode)
        workers[victim] = farm.start_worker()

    for _ in range(kills // 3):
        time.sleep(draw.uniform(0.0, 2.0))
        kill_one()
    follower = farm.follow(archive(images))
    while len(killed_with) < kills:  # spread over the work, so that none of them comes when all is done
        farm.wait_for(int((len(killed_with) + draw.random()) / kills * (images - SPARED)))
        assert follower.poll() is None
        kill_one()
    wait_for_end(follower)

    assert killed_with == [-signal.SIGKILL] * kills
    farm.assert_whole(images)
    assert set(farm.kinds().values()) == {"ok"}
    with capsys.disabled():
        print(f"\n{kills} kills, {images} images, {farm.extra_starts()} extra starts, 0 lost, 0 double")


@pytest.mark.parametrize("fault", ["kill-while-labelling", "kill-before-commit", "kill-after-commit"])
def test_a_child_that_is_killed_with_a_chunk_leaves_it_whole(
    either_farm: Farm, archive: Callable[[int], Path], fault: str
) -> None:
    """In mid-inference; inside the transaction, all rows written; and between the commit and the acknowledgement."""
    farm = either_farm
    farm.plant(fault, times=2)
    worker = farm.start_worker(2, FAULT=fault)
    follower = farm.follow(archive(64))
    wait_for_end(follower)

    assert farm.faults_left() == 0
    assert worker.process.poll() is None
    farm.assert_whole(64)
    assert set(farm.kinds().values()) == {"ok"}


def test_a_child_that_loads_slowly_is_waited_for_also_when_it_replaces_one(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    folder = archive(64)
    worker = farm.start_worker(1, LOAD_S=str(SLOW_LOAD_S))
    follower = farm.follow(folder)
    farm.wait_for(1)
    (child,) = worker.children()
    child.kill()
    (replacement,) = wait_until(lambda: [one for one in worker.children() if one.pid != child.pid] or None)
    wait_for_end(follower)

    assert [one.pid for one in worker.children()] == [replacement.pid]  # it was not killed in its turn
    farm.assert_whole(64)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGQUIT])
def test_workers_that_are_stopped_again_and_again_end_and_lose_nothing(
    farm: Farm, archive: Callable[[int], Path], sign: signal.Signals
) -> None:
    follower = farm.follow(archive(240))
    for _ in range(3):
        worker = farm.start_worker(2, **NO_TIME_LIMIT)
        farm.wait_for(farm.count() + 8)
        worker.stop(sign)
    assert follower.poll() is None
    farm.start_worker(2)
    wait_for_end(follower)

    farm.assert_whole(240)
    assert set(farm.kinds().values()) == {"ok"}


def test_a_chunk_that_does_not_end_keeps_no_worker_from_ending_on_sigquit(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    worker = farm.start_held_worker(1, **NO_TIME_LIMIT)
    follower = farm.follow(archive(64))
    farm.wait_until_none_is_left()
    worker.stop(signal.SIGQUIT)

    farm.start_worker()
    wait_for_end(follower)
    farm.assert_whole(64)


def test_a_run_whose_workers_never_come_up_starts_them_again_and_then_gives_up(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    """The children die while they load, again and again, and the worker's main process lives."""
    farm.plant("crash-at-load", times=5000)
    run = farm.nightlabel.start("run", archive(20), FAULT="crash-at-load", STALL_S="1", NIGHTLABEL_TIME_LIMIT_S="2")
    errors = wait_for_end(run, status=7)

    assert "Nothing was labelled for 1 s, though" in errors
    # Which of the two comes first depends on how fast they die.
    assert "starting the workers again did not help 3 times" in errors or "The worker died 6 times in a row" in errors


def test_a_run_whose_workers_hang_starts_them_again_and_ends_well(farm: Farm, archive: Callable[[int], Path]) -> None:
    """Those that are started again may take longer than a stall for their first chunk: they are given ever longer."""
    run = farm.nightlabel.start("run", archive(200), **HANGS_ARE_SOON_SEEN)
    farm.wait_for(8)
    (main,) = [one for one in psutil.Process(run.pid).children() if "worker" in one.cmdline()]
    for process in [main, *main.children()]:
        process.suspend()
    errors = wait_for_end(run)

    assert "starting the workers again" in errors
    farm.assert_whole(200)


def test_a_worker_that_is_killed_leaves_no_orphan_where_the_kernel_does_not_see_to_it(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    farm.plant("stand-still")
    run = farm.nightlabel.start("run", archive(64), FAULT="stand-still", ORPHANS_LIVE="1")
    farm.wait_until_none_is_left()
    (main,) = [one for one in psutil.Process(run.pid).children() if "worker" in one.cmdline()]
    children = main.children()
    main.kill()

    wait_for_end(run)

    assert children
    wait_until_gone(children)
    farm.assert_whole(64)


def test_a_run_whose_workers_hang_in_a_transaction_starts_them_again_and_ends_well(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    """On SQLite, whoever hangs there keeps everybody out, the run itself too."""
    farm.plant("stop-before-commit")
    run = farm.nightlabel.start("run", archive(64), FAULT="stop-before-commit", **HANGS_ARE_SOON_SEEN)
    farm.wait_until_none_is_left()
    (main,) = [one for one in psutil.Process(run.pid).children() if "worker" in one.cmdline()]
    main.suspend()
    errors = wait_for_end(run)

    assert "starting the workers again" in errors
    farm.assert_whole(64)
