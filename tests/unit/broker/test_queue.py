"""The message, and the queue as it stands, on a real Redis."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import RedisError

from broker.app import LABEL_CHUNK, make_app
from broker.message import ChunkMessage, chunk_id, publish, task_id
from broker.queue import (
    HeldTasks,
    depth,
    discard_unacknowledged,
    held_tasks,
    queued_ids,
    unacknowledged,
    unacknowledged_tags,
    workers,
)
from common.errors import BrokerError, NightlabelError
from common.settings import load_settings
from tests.command import wait_until
from tests.unit.broker.queues import (
    IDENTITY,
    UNACKNOWLEDGED,
    bodies,
    busy_worker,
    ids,
    key_of,
    lose_a_taker,
    message,
    put,
    raw,
    settings_for,
)

if TYPE_CHECKING:
    from celery import Celery

    from broker.private_redis import PrivateRedis

HIDDEN = "s3cr3t"
#: Another database that uses the same Redis.
OTHER = "00000000-0000-4000-8000-000000000002"


def test_a_chunk_is_one_message_that_names_it_and_no_path(app: Celery, redis: PrivateRedis) -> None:
    publish(app, [ChunkMessage(database=IDENTITY, chunk_id=42, attempt=3, run_id=7, images=64)])
    ((headers, (arguments, keywords, _)),) = bodies(redis)
    assert (headers["task"], headers["id"]) == (LABEL_CHUNK, f"{IDENTITY}.chunk-42.3")
    assert (arguments, keywords) == ([IDENTITY, 42, 3], {})


def test_a_message_shows_people_its_chunk_and_how_many_images_it_has(app: Celery, redis: PrivateRedis) -> None:
    publish(app, [message(42, images=64)])
    ((headers, _),) = bodies(redis)
    assert headers["argsrepr"] == "run 7, chunk 42, attempt 1, 64 images"


def test_a_message_of_64_images_costs_little_in_redis(app: Celery, redis: PrivateRedis) -> None:
    publish(app, [message(42, images=64)])
    with raw(redis) as client:
        assert client.memory_usage(key_of()) / 64 < 200  # bytes an image


def test_a_message_says_what_its_arguments_said() -> None:
    arguments = message(42, attempt=3).arguments
    assert ChunkMessage.of_arguments(arguments).arguments == arguments == (IDENTITY, 42, 3)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (IDENTITY,),
        (IDENTITY, 1),
        (IDENTITY, 1, 1, 1),
        (7, 42, 3, [[1, "/photos/a.jpg"]]),
        (IDENTITY, "1", 1),
        (IDENTITY, 1, "1"),
        (IDENTITY, 1.0, 1),
        (IDENTITY, True, 1),
        (IDENTITY, 1, True),
        (IDENTITY, None, 1),
        (IDENTITY, [1], 1),
        (IDENTITY, 0, 1),
        (IDENTITY, -1, 1),
        (IDENTITY, 1, 0),
        (IDENTITY, 1, -1),
        (IDENTITY, 2**63, 1),
        (IDENTITY, 1, 2**63),
        (IDENTITY, 10**400, 1),
        (1, 1, 1),
        (None, 1, 1),
        ([IDENTITY], 1, 1),
        ({"database": IDENTITY}, 1, 1),
        ("", 1, 1),
        ("\ud800", 1, 1),
        (f"{IDENTITY}\0", 1, 1),
        (f"{IDENTITY}\n", 1, 1),
    ],
    ids=str,
)
def test_arguments_that_no_message_has_are_refused(arguments: tuple[object, ...]) -> None:
    """What another version sent, or somebody forged: Python takes True for 1, and no database takes 10^400."""
    with pytest.raises(ValueError, match="none of this version's messages"):
        ChunkMessage.of_arguments(arguments)


def test_a_chunk_is_known_by_its_task_id_in_its_own_database_only() -> None:
    task = task_id(IDENTITY, 42, 3)
    assert (chunk_id(IDENTITY, task), chunk_id(OTHER, task)) == (42, None)


@pytest.mark.parametrize(
    "task",
    [
        "chunk-42.3",
        f"{IDENTITY}.chunk-42",
        f"{IDENTITY}.chunk-.1",
        f"{IDENTITY}.chunk--1.1",
        f"{IDENTITY}.chunk-{10**18}.1",
        f" {IDENTITY}.chunk-42.3",
        f"{IDENTITY}.chunk-42.3\n",
        f"{IDENTITY.upper()}.chunk-42.3x",
        f"{OTHER}.{IDENTITY}.chunk-42.3",
        "",
    ],
)
def test_what_is_no_task_id_names_no_chunk(task: str) -> None:
    assert chunk_id(IDENTITY, task) is None


def test_messages_wait_in_the_order_in_which_they_were_published(app: Celery, redis: PrivateRedis) -> None:
    put(app, 3, 1, 2)
    assert [headers["id"] for headers, _ in bodies(redis)] == [task_id(IDENTITY, one, 1) for one in (3, 1, 2)]


def test_the_depth_is_the_number_of_chunks_that_wait(app: Celery) -> None:
    put(app, 1, 2, 3)
    assert depth(app) == 3


def test_an_empty_redis_has_nothing(app: Celery) -> None:
    assert (depth(app), queued_ids(app), unacknowledged(app), unacknowledged_tags(app)) == (0, set(), 0, {})


def test_waiting_chunks_are_known_by_their_ids(app: Celery) -> None:
    put(app, 1, 2)
    assert queued_ids(app) == ids("1.1", "2.1")


def test_a_taken_message_is_unacknowledged_and_no_longer_queued(app: Celery, redis: PrivateRedis) -> None:
    put(app, 1, 2)
    lose_a_taker(settings_for(redis))
    assert (set(unacknowledged_tags(app)), queued_ids(app), unacknowledged(app)) == (ids("1.1"), ids("2.1"), 1)


def test_a_forgotten_message_leaves_nothing_in_redis(app: Celery, redis: PrivateRedis) -> None:
    put(app, 1)
    lose_a_taker(settings_for(redis))
    discard_unacknowledged(app, set(unacknowledged_tags(app).values()))
    with raw(redis) as client:
        assert (client.hlen(UNACKNOWLEDGED), client.zcard(f"{UNACKNOWLEDGED}_index")) == (0, 0)


def test_forgetting_nothing_is_no_work(app: Celery) -> None:
    discard_unacknowledged(app, set())


def test_without_workers_no_message_is_held(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.queue.INSPECT_TIMEOUT_S", 0.1)  # nobody is there who could need longer
    put(app, 1)
    assert (held_tasks(app), workers(app)) == (HeldTasks(ids=frozenset(), silent_workers=0), {})


def test_a_worker_says_which_messages_it_holds(app: Celery, redis: PrivateRedis) -> None:
    put(app, 1)
    with busy_worker(redis, settings_for(redis)):
        # One that is slow, on a busy machine, says it when it is asked again.
        held = HeldTasks(ids=frozenset(ids("1.1")), silent_workers=0)
        wait_until(lambda: held_tasks(app) == held or None)
        wait_until(lambda: list(workers(app).values()) == [1] or None)


def test_a_worker_of_another_database_is_not_one_of_this_queues(app: Celery, redis: PrivateRedis) -> None:
    other = make_app(settings_for(redis), OTHER)
    put(app, 1)
    with busy_worker(redis, settings_for(redis)):
        wait_until(lambda: len(workers(app)) == 1 or None)
        assert workers(other) == {}


def test_a_worker_that_is_stopped_is_silent_and_not_gone(app: Celery, redis: PrivateRedis) -> None:
    """It is connected, and may go on: what it holds is not known to be lost."""
    put(app, 1)
    with busy_worker(redis, settings_for(redis)) as pid:
        os.kill(pid, signal.SIGSTOP)
        stopped = held_tasks(app)
        os.kill(pid, signal.SIGCONT)
        assert stopped == HeldTasks(ids=frozenset(), silent_workers=1)


def test_two_databases_on_one_redis_see_nothing_of_each_other(app: Celery, redis: PrivateRedis) -> None:
    """Their chunks have the same numbers: those of one must not pass for the other's."""
    other = make_app(settings_for(redis), OTHER)
    put(app, 1, 2)
    publish(other, [ChunkMessage(database=OTHER, chunk_id=1, attempt=1)])
    lose_a_taker(settings_for(redis))
    assert (depth(app), queued_ids(app), set(unacknowledged_tags(app))) == (1, ids("2.1"), ids("1.1"))
    assert (depth(other), queued_ids(other), unacknowledged(other)) == (1, ids("1.1", identity=OTHER), 0)


def test_two_deployments_share_a_server_by_their_prefix(app: Celery, redis: PrivateRedis) -> None:
    put(app, 1)
    other = make_app(settings_for(redis, key_prefix="other:"), IDENTITY)
    assert (depth(other), queued_ids(other)) == (0, set())


@pytest.mark.parametrize("intruder", [b"hello", b"[1, 2]", b"{}", b'{"headers": {}}'])
def test_a_message_of_somebody_else_does_not_stop_anyone_from_looking(
    app: Celery, redis: PrivateRedis, intruder: bytes
) -> None:
    put(app, 1)
    with raw(redis) as client:
        client.lpush(key_of(), intruder)
    assert ids("1.1") <= queued_ids(app)


def test_without_a_broker_the_setting_is_named() -> None:
    with pytest.raises(BrokerError, match="NIGHTLABEL_BROKER_URL"):
        make_app(load_settings())


def test_a_redis_that_is_away_is_named_without_its_password() -> None:
    app = make_app(load_settings(broker_url=f"redis://anna:{HIDDEN}@127.0.0.1:1/0"), IDENTITY)
    with pytest.raises(BrokerError, match=r"redis://anna:\*\*\*@127\.0\.0\.1:1/0") as caught:
        put(app, 1)
    assert HIDDEN not in str(caught.value)


def test_a_broker_url_that_makes_no_sense_is_refused_in_a_sentence() -> None:
    with pytest.raises(NightlabelError, match="NIGHTLABEL_BROKER_URL"):
        depth(make_app(load_settings(broker_url="redis://nas:port/0"), IDENTITY))


def test_a_wrong_password_is_refused_in_a_sentence_without_it(redis: PrivateRedis) -> None:
    with raw(redis) as client:
        client.config_set("requirepass", "right")
    app = make_app(load_settings(broker_url=redis.url.replace("://", f"://:{HIDDEN}@")), IDENTITY)
    with pytest.raises(BrokerError) as caught:
        put(app, 1)
    assert HIDDEN not in str(caught.value)


def test_a_full_redis_refuses_and_says_so(app: Celery, redis: PrivateRedis) -> None:
    with raw(redis) as client:
        client.config_set("maxmemory", 1)
    with pytest.raises(BrokerError, match="maxmemory"):
        put(app, 1)


def test_a_full_redis_keeps_what_it_has(app: Celery, redis: PrivateRedis) -> None:
    put(app, 1)
    with raw(redis) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(RedisError):
            client.set("anything", "x")
    assert depth(app) == 1
