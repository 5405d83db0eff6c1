"""A channel that lost its connection: it can be closed, and what it held be settled late, without ending a worker."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from broker.app import queue_name
from broker.queue import unacknowledged
from tests.unit.broker.queues import IDENTITY, put

if TYPE_CHECKING:
    from celery import Celery

    from broker.private_redis import PrivateRedis


def given_up(app: Celery, redis: PrivateRedis) -> tuple[Any, Any]:
    """Take a message and wait for the next; lose Redis, and give the connection up as Celery does."""
    connection = app.connection_for_read()
    channel = connection.default_channel
    channel.basic_qos(0, 2, False)
    message = channel.basic_get(queue_name(IDENTITY), no_ack=False)
    for waiting in (channel, connection.channel()):  # at the second, kombu gives up closing channels
        waiting.basic_consume(queue_name(IDENTITY), no_ack=False, callback=lambda _: None, consumer_tag="one")
    with suppress(TimeoutError):
        connection.drain_events(timeout=0.1)  # the question stays open for a second
    redis.stop()
    connection.collect(socket_timeout=0.1)
    return connection, message


def test_a_connection_that_was_given_up_while_redis_was_away_can_be_closed(app: Celery, redis: PrivateRedis) -> None:
    put(app, 1)
    connection, _ = given_up(app, redis)

    connection.close()

    redis.start()
    assert unacknowledged(app) == 1  # whoever follows the run finds it


@pytest.mark.parametrize("settle", ["ack", "reject", "requeue"])
def test_a_message_is_settled_late_without_a_word_to_redis(app: Celery, redis: PrivateRedis, settle: str) -> None:
    put(app, 1)
    connection, message = given_up(app, redis)

    getattr(message, settle)()

    assert message.channel.qos.can_consume()
    connection.close()
