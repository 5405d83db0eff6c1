"""Redis that is killed, away, silent, full or flushed: the run waits, goes on by itself, and loses nothing."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.faults.farm import SOON_AGAIN, kill_redis, wait_for_end, wait_to_say
from tests.faults.proxy import Proxy
from tests.unit.broker.queues import raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from tests.faults.farm import Farm

IMAGES = 120
#: Chunks and a queue so small that publishing lasts as long as labelling.
SMALL = {"NIGHTLABEL_CHUNK_SIZE": "4", "NIGHTLABEL_QUEUE_LIMIT": "4"}
#: Seconds that Redis is away. Celery's pauses between two tries grow to 30 s; after so long they are 6 s.
AWAY_S = 10
#: Seconds that Redis is full. A producer that counts every try as a loss of its chunk's gives up after 20.
FULL_S = 25
DONE = "chunks where done_at is not null"
WAITING = "chunks where published_at is null"


@pytest.fixture
def proxy(redis: PrivateRedis, short_folder: Path) -> Iterator[Proxy]:
    """A way to Redis that can be cut."""
    with Proxy(redis.url, short_folder / f"proxy-{uuid.uuid4().hex[:8]}") as proxy:
        yield proxy


@pytest.fixture
def measured(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line that is no part of the verdict."""

    def print_line(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}")

    return print_line


def seconds_to(farm: Farm, done: int) -> float:
    """Wait until so many chunks are done; return how long that took."""
    begun = time.monotonic()
    farm.wait_for(done, DONE)
    return time.monotonic() - begun


def test_redis_that_is_killed_again_and_again_while_chunks_come_and_go_costs_nothing(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path], measured: Callable[[str], None]
) -> None:
    worker = farm.start_worker(2)
    follower = farm.follow(archive(IMAGES), **SMALL)
    paused_s = []
    for labelled in (16, 56):
        farm.wait_for(labelled)
        kill_redis(redis)
        begun = time.monotonic()
        assert farm.count(WAITING) > 0  # publishing was under way
        done = farm.count(DONE)
        redis.start()
        farm.wait_for(done + 3, DONE)  # two more may have been in work
        paused_s.append(time.monotonic() - begun)
    wait_for_end(follower)

    assert worker.process.poll() is None
    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}
    measured(f"after {', '.join(f'{one:.1f}' for one in paused_s)} s again; {farm.extra_starts()} extra starts")


def test_a_worker_that_starts_before_redis_does_waits_for_it(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path]
) -> None:
    farm.enqueue(archive(IMAGES))
    redis.stop()
    worker = farm.start_worker()
    wait_to_say(worker.process, "Cannot connect to redis")

    redis.start()
    farm.wait_for(IMAGES)

    assert worker.process.poll() is None
    farm.assert_whole(IMAGES)


def test_redis_that_is_away_for_a_while_is_waited_for(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path], measured: Callable[[str], None]
) -> None:
    worker = farm.start_worker(2)
    follower = farm.follow(archive(IMAGES), **SMALL)
    farm.wait_for(20)
    redis.stop()
    time.sleep(AWAY_S)
    assert worker.process.poll() is follower.poll() is None
    done = farm.count(DONE)

    redis.start()
    back_s = seconds_to(farm, done + 1)
    errors = wait_for_end(follower)

    assert "Trying again, for up to 15 minutes" in errors
    assert worker.process.poll() is None
    farm.assert_whole(IMAGES)
    measured(f"labelling again {back_s:.1f} s after Redis came back; {farm.extra_starts()} extra starts")


@pytest.mark.parametrize("is_idle", [True, False], ids=["waiting for a message", "labelling"])
def test_a_worker_whose_packets_get_lost_consumes_again(
    farm: Farm, proxy: Proxy, archive: Callable[[int], Path], measured: Callable[[str], None], is_idle: bool
) -> None:
    """A proxy that swallows what is sent, either way, and closes nothing stands for dropped packets.

    A worker that relied on TCP to tell would wait for ever. How long it takes is printed: up to a minute.
    Connections that are made afterwards work, as when a firewall has forgotten those there were. The producer has a way
    of its own.
    """
    worker = farm.start_worker(1, NIGHTLABEL_BROKER_URL=proxy.url)
    worker.wait_until_ready()
    if is_idle:
        proxy.cut()
    begun = time.monotonic()
    follower = farm.follow(archive(IMAGES))
    if not is_idle:
        farm.wait_for(20)
        proxy.cut()
        begun = time.monotonic()
    done = farm.count(DONE)
    farm.wait_for(done + 2, DONE)  # one may have been in work
    back_s = time.monotonic() - begun
    wait_for_end(follower)

    assert worker.process.poll() is None
    farm.assert_whole(IMAGES)
    measured(f"consuming again after {back_s:.1f} s; {farm.extra_starts()} extra starts")


def test_a_full_redis_is_waited_for_and_workers_come_back(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path], measured: Callable[[str], None]
) -> None:
    """Workers end where they cannot note what they took; a run starts its own again, as service managers do theirs."""
    run = farm.nightlabel.start("run", archive(IMAGES), **SMALL)
    farm.wait_for(20)
    with raw(redis) as client:
        client.config_set("maxmemory", "1")
        client.rpop(
            farm.key()
        )  # as a worker does that cannot note it; now there is room, and the producer tries to publish
        time.sleep(FULL_S)
        assert run.poll() is None, run.communicate()
        client.config_set("maxmemory", "0")
    back_s = seconds_to(farm, farm.count(DONE) + 1)
    errors = wait_for_end(run)

    assert "used memory > 'maxmemory'" in errors
    assert "Trying again, for up to 15 minutes" in errors
    farm.assert_whole(IMAGES)
    measured(f"labelling again after {back_s:.1f} s; {farm.extra_starts()} extra starts")


def test_a_redis_that_refuses_every_change_is_waited_for(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path], measured: Callable[[str], None]
) -> None:
    """As one does whose disk is full or broken: here, it wants a replica that it has not."""
    worker = farm.start_worker(2)
    follower = farm.follow(archive(IMAGES), **SMALL)
    farm.wait_for(20)
    with raw(redis) as client:
        client.config_set("min-replicas-to-write", "1")
        wait_to_say(worker.process, "Redis refuses")
        assert worker.process.poll() is follower.poll() is None
        done = farm.count(DONE)
        client.config_set("min-replicas-to-write", "0")
    back_s = seconds_to(farm, done + 1)
    wait_for_end(follower)

    assert worker.process.poll() is None
    farm.assert_whole(IMAGES)
    measured(f"labelling again after {back_s:.1f} s; {farm.extra_starts()} extra starts")


def test_redis_that_is_flushed_is_filled_again_from_the_manifest(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path], measured: Callable[[str], None]
) -> None:
    worker = farm.start_worker(2)
    follower = farm.follow(archive(IMAGES))
    farm.wait_for(20)
    with raw(redis) as client:
        client.flushall()
    assert farm.count(DONE) < farm.count("chunks")
    back_s = seconds_to(farm, farm.count(DONE) + 3)  # two may have been in work
    errors = wait_for_end(follower)

    assert "chunks got lost" in errors
    assert worker.process.poll() is None
    farm.assert_whole(IMAGES)
    measured(f"labelling again after {back_s:.1f} s; {farm.extra_starts()} extra starts")


def test_a_chunk_that_outlives_the_visibility_timeout_beside_an_idle_worker_is_stored_once(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    """The idle worker is given the chunk and stores it; what the first one brings later is refused."""
    slow = farm.start_held_worker(1, **SOON_AGAIN)
    follower = farm.follow(archive(64))
    farm.wait_until_none_is_left()
    farm.start_worker(1, **SOON_AGAIN)
    wait_for_end(follower)

    stored = farm.stored()

    farm.go_on()

    assert "was stored by another worker in the meantime" in slow.stop()
    assert farm.extra_starts() == 1
    assert farm.count("chunks where attempt > 1") == 0  # Redis delivered it again; nobody published it
    assert farm.stored() == stored
    farm.assert_whole(64)
