"""A queue on a real Redis, takers that die with a message in hand, and a worker that holds one."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis as redis_client

from broker.app import LABEL_CHUNK, QUEUE, make_app
from broker.message import ChunkMessage, publish
from common.settings import load_settings
from tests.command import wait_until
from tests.unit.storage.processes import at_once, beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from broker.private_redis import PrivateRedis
    from common.settings import Settings

#: The queue's key, as `redis-cli` shows it.
KEY = f"nightlabel:{QUEUE}"
UNACKNOWLEDGED = "nightlabel:unacked"


@contextmanager
def raw(server: PrivateRedis) -> Iterator[Any]:
    """Yield a plain client, which knows nothing of Celery."""
    client = redis_client.Redis(unix_socket_path=server.url.removeprefix("redis+socket://"))
    try:
        yield client
    finally:
        client.close()


def settings_for(server: PrivateRedis, **given: object) -> Settings:
    return load_settings(broker_url=server.url, **given)


def message(chunk_id: int, attempt: int = 1, images: int = 1) -> ChunkMessage:
    paths = tuple((number, f"/photos/{number:05}.jpg") for number in range(images))
    return ChunkMessage(run_id=7, chunk_id=chunk_id, attempt=attempt, images=paths)


def put(app: Celery, *chunk_ids: int) -> None:
    publish(app, [message(chunk_id) for chunk_id in chunk_ids])


def bodies(server: PrivateRedis) -> list[tuple[dict[str, Any], list[Any]]]:
    """Return the headers and the body of every message on the queue, the oldest first."""
    with raw(server) as client:
        messages = [json.loads(one) for one in reversed(client.lrange(KEY, 0, -1))]
    return [(one["headers"], json.loads(base64.b64decode(one["body"]))) for one in messages]


def take_and_die(settings: Settings) -> None:
    """Take a message as a worker does, and be killed before it is acknowledged."""
    with make_app(settings).connection_for_read() as connection:
        assert connection.default_channel.basic_get(QUEUE, no_ack=False)
        os.kill(os.getpid(), signal.SIGKILL)


def lose_a_taker(settings: Settings) -> None:
    """Have a process die with the oldest message in hand."""
    assert at_once(take_and_die, [(settings,)]) == [-signal.SIGKILL]


def label_for_ever(settings: Settings) -> None:
    """Be a worker whose tasks do not end."""
    app = make_app(settings)

    @app.task(name=LABEL_CHUNK)  # type: ignore[untyped-decorator]
    def label_chunk(*_: object) -> None:
        time.sleep(3600)

    app.Worker(
        pool="threads", concurrency=1, quiet=True, loglevel="ERROR", without_gossip=True, without_mingle=True
    ).start()


@contextmanager
def busy_worker(server: PrivateRedis, settings: Settings) -> Iterator[None]:
    """Run a worker that has taken a message, holds it, and listens to questions."""
    with beside(label_for_ever, settings), raw(server) as client:
        wait_until(lambda: (client.hlen(UNACKNOWLEDGED) and client.pubsub_numpat()) or None)
        yield
