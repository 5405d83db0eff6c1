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

from broker.app import LABEL_CHUNK, make_app, queue_name
from broker.message import ChunkMessage, publish, task_id
from common.settings import load_settings
from tests.command import wait_until
from tests.unit.storage.processes import at_once, beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from broker.private_redis import PrivateRedis
    from common.settings import Settings

#: Of a database that is not there: the broker's tests have none.
IDENTITY = "00000000-0000-4000-8000-000000000001"
UNACKNOWLEDGED = "nightlabel:unacked"


def key_of(identity: str = IDENTITY) -> str:
    """Return the queue's key, as `redis-cli` shows it."""
    return f"nightlabel:{queue_name(identity)}"


def ids(*attempts: str, identity: str = IDENTITY) -> set[str]:
    """Return task ids; an attempt is CHUNK.ATTEMPT."""
    return {task_id(identity, *map(int, attempt.split("."))) for attempt in attempts}


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
    return ChunkMessage(database=IDENTITY, chunk_id=chunk_id, attempt=attempt, run_id=7, images=images)


def put(app: Celery, *chunk_ids: int) -> None:
    publish(app, [message(chunk_id) for chunk_id in chunk_ids])


def bodies(server: PrivateRedis, identity: str = IDENTITY) -> list[tuple[dict[str, Any], list[Any]]]:
    """Return the headers and the body of every message on the queue, the oldest first."""
    with raw(server) as client:
        messages = [json.loads(one) for one in reversed(client.lrange(key_of(identity), 0, -1))]
    return [(one["headers"], json.loads(base64.b64decode(one["body"]))) for one in messages]


def take_and_die(settings: Settings, identity: str) -> None:
    """Take a message as a worker does, and be killed before it is acknowledged."""
    with make_app(settings).connection_for_read() as connection:
        assert connection.default_channel.basic_get(queue_name(identity), no_ack=False)
        os.kill(os.getpid(), signal.SIGKILL)


def lose_a_taker(settings: Settings, identity: str = IDENTITY) -> None:
    """Have a process die with the oldest message in hand."""
    assert at_once(take_and_die, [(settings, identity)]) == [-signal.SIGKILL]


def label_for_ever(settings: Settings, identity: str) -> None:
    """Be a worker whose tasks do not end."""
    app = make_app(settings, identity)

    @app.task(name=LABEL_CHUNK)  # type: ignore[untyped-decorator]
    def label_chunk(*_: object) -> None:
        time.sleep(3600)

    app.Worker(
        pool="threads", concurrency=1, quiet=True, loglevel="ERROR", without_gossip=True, without_mingle=True
    ).start()


@contextmanager
def busy_worker(server: PrivateRedis, settings: Settings, identity: str = IDENTITY) -> Iterator[int]:
    """Run a worker that has taken a message, holds it, and listens to questions; yield its process' number."""
    with beside(label_for_ever, settings, identity) as pid, raw(server) as client:
        wait_until(lambda: (client.hlen(UNACKNOWLEDGED) and client.pubsub_numpat()) or None)
        yield pid
