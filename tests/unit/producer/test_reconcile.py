"""Publishing again what got lost: real Redis, both databases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import producer.reconcile
from broker.app import make_app, queue_name
from broker.message import ChunkMessage, publish
from broker.queue import depth, queued_ids, unacknowledged
from common.errors import BrokerError, WorkersError
from producer.publish import Publisher
from producer.reconcile import MAX_PUBLISHINGS, Reconciler
from storage.records import Chunk
from storage.runs import progress
from tests.unit.broker.queues import (
    IDENTITY,
    UNACKNOWLEDGED,
    bodies,
    busy_worker,
    ids,
    key_of,
    lose_a_taker,
    raw,
    settings_for,
)
from tests.unit.storage.nights import begin_run, label, label_all, number, take

if TYPE_CHECKING:
    from celery import Celery

    from broker.private_redis import PrivateRedis
    from common.settings import Settings
    from storage.database import Database
    from storage.records import Run

#: Another database that uses the same Redis.
OTHER = "00000000-0000-4000-8000-000000000002"


@pytest.fixture
def nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for workers no longer than a moment: there are none."""
    monkeypatch.setattr("broker.queue.INSPECT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(producer.reconcile, "GIVING_BACK_S", 0.1)
    monkeypatch.setattr(producer.reconcile, "LAST_ACKNOWLEDGEMENT_S", 0.1)


def waiting(database: Database, run: Run) -> int:
    return progress(database, run.id).chunks_waiting


def chunks_of(redis: PrivateRedis) -> list[int]:
    return [arguments[1] for _, (arguments, *_) in bodies(redis)]


def label_published(database: Database, run: Run, redis: PrivateRedis, messages: int = 1) -> None:
    """Do what a worker does with the oldest messages, up to the commit."""
    for _, ((_, chunk_id, attempt), *_) in bodies(redis)[:messages]:
        assert label(database, Chunk(id=chunk_id, run_id=run.id, attempt=attempt, images=2))


def label_all_and_die(database: Database, run: Run, redis: PrivateRedis) -> None:
    """Do what workers do, one of which dies between its commit and the acknowledgement."""
    label_published(database, run, redis, 5)
    lose_a_taker(settings_for(redis))
    with raw(redis) as client:
        client.delete(key_of())


@pytest.fixture
def reconciler(app: Celery, redis: PrivateRedis, database: Database, run: Run, publisher: Publisher) -> Reconciler:
    return Reconciler(app, database, IDENTITY, run, settings_for(redis), publisher)


def reconciler_of(app: Celery, database: Database, run: Run, settings: Settings) -> Reconciler:
    """Return what another command that follows a run has."""
    publisher = Publisher(app, database, IDENTITY, run, settings)
    return Reconciler(app, database, IDENTITY, run, settings, publisher)


def test_a_message_that_got_lost_is_published_again_under_a_new_attempt(
    publisher: Publisher, redis: PrivateRedis, app: Celery, reconciler: Reconciler
) -> None:
    publisher.publish_waiting()
    with raw(redis) as client:
        client.rpop(key_of())
    assert reconciler.reconcile() == 1
    publisher.publish_waiting()
    assert queued_ids(app) == ids("1.2", "2.1", "3.1", "4.1", "5.1")


def test_a_redis_that_was_flushed_is_filled_again(
    publisher: Publisher, redis: PrivateRedis, reconciler: Reconciler
) -> None:
    publisher.publish_waiting()
    with raw(redis) as client:
        client.flushall()
    assert reconciler.reconcile() == 5
    publisher.publish_waiting()
    assert chunks_of(redis) == [1, 2, 3, 4, 5]


def test_what_is_on_the_queue_is_left_there(publisher: Publisher, app: Celery, reconciler: Reconciler) -> None:
    publisher.publish_waiting()
    assert (reconciler.reconcile(), depth(app)) == (0, 5)


def test_what_was_not_published_yet_is_not_lost(
    publisher: Publisher, database: Database, run: Run, reconciler: Reconciler
) -> None:
    assert (reconciler.reconcile(), waiting(database, run)) == (0, 5)


def test_a_chunk_that_was_done_meanwhile_is_left_alone(
    publisher: Publisher, redis: PrivateRedis, database: Database, run: Run, reconciler: Reconciler
) -> None:
    publisher.publish_waiting()
    label_published(database, run, redis)
    with raw(redis) as client:
        client.rpop(key_of())
    assert reconciler.reconcile() == 0
    assert number(database, "select max(attempt) from chunks") == 1


@pytest.mark.usefixtures("nobody_answers")
def test_a_chunk_whose_taker_died_is_published_again_and_delivered_once(
    publisher: Publisher, redis: PrivateRedis, app: Celery, reconciler: Reconciler
) -> None:
    publisher.publish_waiting()
    lose_a_taker(settings_for(redis))
    assert reconciler.reconcile() == 1
    publisher.publish_waiting()
    assert (unacknowledged(app), ids("1.2") <= queued_ids(app), depth(app)) == (0, True, 5)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it takes seconds, and any database does
def test_a_chunk_that_a_living_worker_holds_is_not_lost(
    publisher: Publisher, redis: PrivateRedis, app: Celery, reconciler: Reconciler
) -> None:
    publisher.publish_waiting()
    with raw(redis) as client:
        client.ltrim(key_of(), -1, -1)  # only the oldest stays: the worker takes it
    with busy_worker(redis, settings_for(redis)):
        assert reconciler.reconcile() == 4
        assert unacknowledged(app) == 1


def test_what_another_run_has_published_is_its_own(
    publisher: Publisher, redis: PrivateRedis, app: Celery, database: Database
) -> None:
    publisher.publish_waiting()
    other = begin_run(database, root="/other")
    with raw(redis) as client:
        client.flushall()
    assert reconciler_of(app, database, other, settings_for(redis)).reconcile() == 0


def test_what_a_full_redis_refused_is_published_when_there_is_room(
    publisher: Publisher, redis: PrivateRedis, app: Celery, reconciler: Reconciler
) -> None:
    with raw(redis) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(BrokerError):
            publisher.publish_waiting()
        client.config_set("maxmemory", 0)
    assert (reconciler.reconcile(), publisher.publish_waiting(), depth(app)) == (5, 5, 5)


def test_a_run_that_is_done_has_nothing_to_publish(
    publisher: Publisher, database: Database, run: Run, reconciler: Reconciler
) -> None:
    label_all(database, run)
    assert (publisher.publish_waiting(), reconciler.reconcile(), take(database, run)) == (0, 0, [])


def test_what_a_full_redis_refuses_again_and_again_is_no_loss(
    publisher: Publisher, redis: PrivateRedis, reconciler: Reconciler
) -> None:
    with raw(redis) as client:
        client.config_set("maxmemory", 1)
        for _ in range(MAX_PUBLISHINGS + 1):
            with pytest.raises(BrokerError):
                publisher.publish_waiting()
            assert reconciler.reconcile() == 5


def test_a_chunk_that_gets_lost_again_and_again_ends_the_run_and_the_next_command_tries_again(
    publisher: Publisher, redis: PrivateRedis, app: Celery, database: Database, run: Run, reconciler: Reconciler
) -> None:
    def lose() -> int:
        publisher.publish_waiting()
        with raw(redis) as client:
            client.delete(key_of())
        return reconciler.reconcile()

    assert [lose() for _ in range(MAX_PUBLISHINGS - 1)] == [5] * (MAX_PUBLISHINGS - 1)
    with pytest.raises(WorkersError, match=rf"Chunk . of run 1 was published {MAX_PUBLISHINGS} times and never done"):
        lose()
    assert reconciler_of(app, database, run, settings_for(redis)).reconcile() == 5


@pytest.mark.usefixtures("nobody_answers")
def test_what_a_taker_left_that_died_after_the_commit_is_forgotten_at_the_end(
    publisher: Publisher, redis: PrivateRedis, app: Celery, database: Database, run: Run, reconciler: Reconciler
) -> None:
    publisher.publish_waiting()
    label_all_and_die(database, run, redis)
    assert (reconciler.discard_done(), unacknowledged(app)) == (1, 0)


@pytest.mark.usefixtures("nobody_answers")
def test_what_is_of_another_database_is_neither_taken_for_this_ones_nor_forgotten(
    publisher: Publisher, redis: PrivateRedis, app: Celery, database: Database, run: Run, reconciler: Reconciler
) -> None:
    """Its chunks have the same numbers: one is on its queue, and its worker died with another."""
    other = make_app(settings_for(redis), OTHER)
    publish(other, [ChunkMessage(database=OTHER, chunk_id=chunk, attempt=1) for chunk in (1, 2)])
    lose_a_taker(settings_for(redis), OTHER)
    publisher.publish_waiting()
    with raw(redis) as client:
        client.delete(key_of())
    assert reconciler.reconcile() == 5
    publisher.publish_waiting()
    label_published(database, run, redis, 5)
    assert (reconciler.discard_done(), unacknowledged(other), depth(other)) == (0, 1, 1)


@pytest.mark.usefixtures("nobody_answers")
def test_what_is_of_another_run_or_of_nobody_is_not_forgotten(
    publisher: Publisher, redis: PrivateRedis, app: Celery, database: Database, run: Run
) -> None:
    publisher.publish_waiting()
    label_all_and_die(database, run, redis)
    other = begin_run(database, root="/other")
    with raw(redis) as client:
        client.hset(UNACKNOWLEDGED, "tag", json.dumps([{"headers": {"id": "chunk-one"}}, "", queue_name(IDENTITY)]))
    assert (reconciler_of(app, database, other, settings_for(redis)).discard_done(), unacknowledged(app)) == (0, 2)


@pytest.mark.usefixtures("nobody_answers")
def test_a_chunk_that_is_not_done_is_not_forgotten(
    publisher: Publisher, redis: PrivateRedis, app: Celery, reconciler: Reconciler
) -> None:
    publisher.publish_waiting()
    lose_a_taker(settings_for(redis))
    assert (reconciler.discard_done(), unacknowledged(app)) == (0, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it takes seconds, and any database does
def test_what_a_living_worker_has_yet_to_acknowledge_is_left_to_it(
    publisher: Publisher, redis: PrivateRedis, app: Celery, database: Database, run: Run, reconciler: Reconciler
) -> None:
    publisher.publish_waiting()
    label_published(database, run, redis, 5)
    with raw(redis) as client:
        client.ltrim(key_of(), -1, -1)
    with busy_worker(redis, settings_for(redis)):
        assert (reconciler.discard_done(), unacknowledged(app)) == (0, 1)
