"""Publishing as the queue has room: real Redis, both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import producer.publish
from broker.queue import depth
from common.errors import BrokerError
from producer.publish import Publisher
from storage.runs import progress
from tests.unit.broker.queues import (
    IDENTITY,
    bodies,
    key_of,
    raw,
    settings_for,
)

if TYPE_CHECKING:
    from celery import Celery

    from broker.private_redis import PrivateRedis
    from storage.database import Database
    from storage.records import Run


def waiting(database: Database, run: Run) -> int:
    return progress(database, run.id).chunks_waiting


def test_waiting_chunks_are_published_by_their_numbers_and_the_databases_identity(
    publisher: Publisher, redis: PrivateRedis
) -> None:
    """What they hold is the database's to say: a path in a message could be another's, or old."""
    assert publisher.publish_waiting() == 5
    assert [arguments for _, (arguments, *_) in bodies(redis)] == [[IDENTITY, chunk, 1] for chunk in (1, 2, 3, 4, 5)]


def test_nothing_is_published_twice(publisher: Publisher, app: Celery) -> None:
    assert [publisher.publish_waiting(), publisher.publish_waiting(), depth(app)] == [5, 0, 5]


def test_the_queue_is_never_deeper_than_its_limit(
    app: Celery, redis: PrivateRedis, database: Database, run: Run
) -> None:
    publisher = Publisher(app, database, IDENTITY, run, settings_for(redis, queue_limit=3))
    assert [publisher.publish_waiting(), publisher.publish_waiting()] == [3, 0]
    assert (depth(app), waiting(database, run)) == (3, 2)


def test_publishing_goes_on_when_the_queue_has_room(
    app: Celery, redis: PrivateRedis, database: Database, run: Run
) -> None:
    publisher = Publisher(app, database, IDENTITY, run, settings_for(redis, queue_limit=3))
    publisher.publish_waiting()
    with raw(redis) as client:
        client.rpop(key_of(), 2)
    assert publisher.publish_waiting() == 2


def test_one_round_publishes_a_bounded_number(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer.publish, "ROUND_CHUNKS", 2)
    assert [publisher.publish_waiting() for _ in range(4)] == [2, 2, 1, 0]


def test_without_redis_nothing_is_taken_from_the_manifest(
    publisher: Publisher, redis: PrivateRedis, app: Celery, database: Database, run: Run
) -> None:
    redis.stop()
    app.conf.broker_transport_options |= {"max_retries": 1, "interval_start": 0}  # by itself, kombu waits for 6 s
    with pytest.raises(BrokerError):
        publisher.publish_waiting()
    assert waiting(database, run) == 5
