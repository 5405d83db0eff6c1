"""The message, and the queue as it stands, on a real Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import RedisError

from broker.app import LABEL_CHUNK, make_app
from broker.message import ChunkMessage, publish
from broker.queue import depth, forget, held_ids, queued_ids, unacknowledged, unacknowledged_tags, workers
from common.errors import BrokerError, NightlabelError
from common.settings import load_settings
from tests.unit.broker.queues import (
    KEY,
    UNACKNOWLEDGED,
    bodies,
    busy_worker,
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


def test_a_chunk_is_one_message_with_its_images_as_json(app: Celery, redis: PrivateRedis) -> None:
    images = [(1, "/photos/a.jpg"), (2, "/photos/gr\udcfc\udcdfe.jpg")]
    publish(app, [ChunkMessage(run_id=7, chunk_id=42, attempt=3, images=images)])
    ((headers, (arguments, keywords, _)),) = bodies(redis)
    assert (headers["task"], headers["id"]) == (LABEL_CHUNK, "chunk-42.3")
    assert (arguments, keywords) == ([7, 42, 3, [list(image) for image in images]], {})


def test_a_message_shows_people_its_chunk_and_not_its_paths(app: Celery, redis: PrivateRedis) -> None:
    publish(app, [message(42, images=64)])
    ((headers, _),) = bodies(redis)
    assert headers["argsrepr"] == "run 7, chunk 42, attempt 1, 64 images"


def test_a_message_of_64_images_costs_little_in_redis(app: Celery, redis: PrivateRedis) -> None:
    publish(app, [message(42, images=64)])
    with raw(redis) as client:
        assert client.memory_usage(KEY) / 64 < 200  # bytes an image


def test_messages_wait_in_the_order_in_which_they_were_published(app: Celery, redis: PrivateRedis) -> None:
    put(app, 3, 1, 2)
    assert [headers["id"] for headers, _ in bodies(redis)] == ["chunk-3.1", "chunk-1.1", "chunk-2.1"]


def test_the_depth_is_the_number_of_chunks_that_wait(app: Celery) -> None:
    put(app, 1, 2, 3)
    assert depth(app) == 3


def test_an_empty_redis_has_nothing(app: Celery) -> None:
    assert (depth(app), queued_ids(app), unacknowledged(app), unacknowledged_tags(app)) == (0, set(), 0, {})


def test_waiting_chunks_are_known_by_their_ids(app: Celery) -> None:
    put(app, 1, 2)
    assert queued_ids(app) == {"chunk-1.1", "chunk-2.1"}


def test_a_taken_message_is_unacknowledged_and_no_longer_queued(app: Celery, redis: PrivateRedis) -> None:
    put(app, 1, 2)
    lose_a_taker(settings_for(redis))
    assert (set(unacknowledged_tags(app)), queued_ids(app), unacknowledged(app)) == ({"chunk-1.1"}, {"chunk-2.1"}, 1)


def test_a_forgotten_message_leaves_nothing_in_redis(app: Celery, redis: PrivateRedis) -> None:
    put(app, 1)
    lose_a_taker(settings_for(redis))
    forget(app, set(unacknowledged_tags(app).values()))
    with raw(redis) as client:
        assert (client.hlen(UNACKNOWLEDGED), client.zcard(f"{UNACKNOWLEDGED}_index")) == (0, 0)


def test_forgetting_nothing_is_no_work(app: Celery) -> None:
    forget(app, set())


def test_without_workers_no_message_is_held(app: Celery) -> None:
    put(app, 1)
    assert (held_ids(app), workers(app)) == (set(), {})


def test_a_worker_says_which_messages_it_holds(app: Celery, redis: PrivateRedis) -> None:
    put(app, 1)
    with busy_worker(redis, settings_for(redis)):
        assert held_ids(app) == {"chunk-1.1"}
        assert list(workers(app).values()) == [1]


def test_two_deployments_share_a_server_by_their_prefix(app: Celery, redis: PrivateRedis) -> None:
    put(app, 1)
    other = make_app(settings_for(redis, key_prefix="other:"))
    assert (depth(other), queued_ids(other)) == (0, set())


@pytest.mark.parametrize("intruder", [b"hello", b"[1, 2]", b"{}", b'{"headers": {}}'])
def test_a_message_of_somebody_else_does_not_stop_anyone_from_looking(
    app: Celery, redis: PrivateRedis, intruder: bytes
) -> None:
    put(app, 1)
    with raw(redis) as client:
        client.lpush(KEY, intruder)
    assert "chunk-1.1" in queued_ids(app)


def test_without_a_broker_the_setting_is_named() -> None:
    with pytest.raises(BrokerError, match="NIGHTLABEL_BROKER_URL"):
        make_app(load_settings())


def test_a_redis_that_is_away_is_named_without_its_password() -> None:
    app = make_app(load_settings(broker_url=f"redis://anna:{HIDDEN}@127.0.0.1:1/0"))
    with pytest.raises(BrokerError, match=r"redis://anna:\*\*\*@127\.0\.0\.1:1/0") as caught:
        put(app, 1)
    assert HIDDEN not in str(caught.value)


def test_a_broker_url_that_makes_no_sense_is_refused_in_a_sentence() -> None:
    with pytest.raises(NightlabelError, match="NIGHTLABEL_BROKER_URL"):
        depth(make_app(load_settings(broker_url="redis://nas:port/0")))


def test_a_wrong_password_is_refused_in_a_sentence_without_it(redis: PrivateRedis) -> None:
    with raw(redis) as client:
        client.config_set("requirepass", "right")
    app = make_app(load_settings(broker_url=redis.url.replace("://", f"://:{HIDDEN}@")))
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
