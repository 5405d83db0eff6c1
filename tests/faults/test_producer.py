"""A producer that ends while it publishes: the same command again publishes what is missing, and nothing twice."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.command import LONG_S, wait_until
from tests.faults.farm import kill_redis, wait_to_say
from tests.unit.broker.queues import bodies, raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from tests.faults.farm import Farm

IMAGES = 64
#: Chunks of the first images that a scan finds hold 8.
CHUNKS = 8
#: Fewer than the chunks: the producer waits for room, and is not done.
ROOM = 3


def queued_chunks(farm: Farm, redis: PrivateRedis) -> list[int]:
    return sorted(arguments[1] for _, (arguments, *_) in bodies(redis, farm.identity()))


def assert_the_same_command_doubles_nothing(farm: Farm, redis: PrivateRedis, folder: Path) -> None:
    """Every chunk is on the queue once, whatever was there before; and each is begun once."""
    again = farm.enqueue(folder)
    assert again.returncode == 0, again.stderr
    assert queued_chunks(farm, redis) == [number for (number,) in farm.ask("select id from chunks order by id")]

    farm.start_worker(2)
    farm.wait_for(IMAGES)
    farm.assert_whole(IMAGES)
    assert farm.extra_starts() == 0


@pytest.mark.parametrize(
    ("fault", "published"),
    [("kill-before-publishing", 0), ("kill-amid-publishing", CHUNKS // 2), ("kill-after-publishing", CHUNKS)],
)
def test_a_producer_that_is_killed_with_a_batch_doubles_nothing_when_it_runs_again(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path], fault: str, published: int
) -> None:
    """Each chunk of the batch is noted as published by then, and none, half or all of them are on the queue."""
    farm.plant(fault)
    killed = farm.enqueue(archive(IMAGES), FAULT=fault)
    assert killed.returncode == -signal.SIGKILL
    assert farm.count("chunks where published_at is not null") == CHUNKS
    assert len(queued_chunks(farm, redis)) == published

    assert_the_same_command_doubles_nothing(farm, redis, archive(IMAGES))


def test_a_producer_that_is_stopped_when_redis_died_doubles_nothing_when_it_runs_again(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path]
) -> None:
    producer = farm.nightlabel.start("enqueue", archive(IMAGES), NIGHTLABEL_QUEUE_LIMIT=str(ROOM))
    with raw(redis) as client:
        wait_until(lambda: client.llen(farm.key()) == ROOM or None)
    kill_redis(redis)
    wait_to_say(producer, "Trying again")
    producer.send_signal(signal.SIGTERM)
    producer.communicate(timeout=LONG_S)
    redis.start()

    assert_the_same_command_doubles_nothing(farm, redis, archive(IMAGES))
