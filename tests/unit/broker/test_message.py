"""The messages as they lie on Redis."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from broker.app import LABEL_CHUNK
from tests.unit.broker.queues import key_of, message, put, raw

if TYPE_CHECKING:
    from celery import Celery

    from broker.private_redis import PrivateRedis

#: What differs from one sending to the next, and nobody reads: a number of its own, and where results would go.
_OWN = ("delivery_tag", "reply_to")


def on_queue(redis: PrivateRedis) -> list[dict[str, Any]]:
    """Return the messages, the oldest first, without what is each one's own."""
    with raw(redis) as client:
        messages = [json.loads(one) for one in reversed(client.lrange(key_of(), 0, -1))]
    for one in messages:
        for name in _OWN:
            one["properties"].pop(name)
    return messages


def test_a_message_is_the_one_that_celery_itself_would_send(app: Celery, redis: PrivateRedis) -> None:
    one = message(5)
    app.send_task(
        LABEL_CHUNK,
        args=one.arguments,
        task_id=one.task_id,
        queue=app.conf.task_default_queue,
        argsrepr=one.described,
    )
    put(app, 5)
    by_celery, ours = on_queue(redis)
    assert ours == by_celery


def test_messages_of_one_batch_lie_on_the_queue_in_their_order(app: Celery, redis: PrivateRedis) -> None:
    put(app, *range(1, 101))
    assert [one["headers"]["argsrepr"] for one in on_queue(redis)] == [message(n).described for n in range(1, 101)]
