"""The queue as it stands: how deep, and which chunks are on it or with a worker."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import REDIS_ERRORS, broker_error
from broker.permissions import check_permissions
from broker.transport import Channel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

#: Seconds that live workers are given to say what they hold.
INSPECT_TIMEOUT_S = 1.0
#: The same where a worker that does not answer may be started again: its main process may be held up by a database that
#: is out of reach, for as long as it tries to connect (`POSTGRES_CONNECT_TIMEOUT_S`), and is not to blame.
PATIENT_INSPECT_TIMEOUT_S = 12.0


@contextmanager
def translated_errors(app: Celery) -> Iterator[None]:
    """Turn every error of Redis into a `BrokerError` that says it in one sentence.

    Raises:
        BrokerBusyError: it does not answer now; waiting is worth it.
        BrokerError: it refuses what waiting does not cure.

    """
    try:
        yield
    except REDIS_ERRORS as error:
        raise broker_error(app.conf.broker_url, error) from error


def check_broker(app: Celery) -> str | None:
    """Check that Redis answers and permits every command that we send; return a warning, if there is one.

    Raises:
        BrokerError: it does not.

    """
    with translated_errors(app), app.connection_for_read() as connection:
        return check_permissions(app, connection.default_channel)


def depth(app: Celery) -> int:
    """Return the number of chunks that wait for a worker."""
    with translated_errors(app), app.connection_for_read() as connection:
        return int(connection.default_channel.client.llen(app.conf.task_default_queue))


def unacknowledged(app: Celery) -> int:
    """Return the number of chunks that were taken from this queue and not yet acknowledged."""
    return len(unacknowledged_tags(app))


def queued_ids(app: Celery) -> set[str]:
    """Return the task ids of the messages that wait."""
    with translated_errors(app), app.connection_for_read() as connection:
        raw = connection.default_channel.client.lrange(_prefixed(app, app.conf.task_default_queue), 0, -1)
    return {_task_id(message) for message in raw}


def unacknowledged_tags(app: Celery) -> dict[str, bytes]:
    """Return, by task id, the delivery tags of this queue's messages that were taken and not acknowledged."""
    with translated_errors(app), app.connection_for_read() as connection:
        channel = connection.default_channel
        raw = channel.client.hgetall(_prefixed(app, channel.unacked_key))
    # All queues on a Redis share the hash; each value is the message, its exchange and its routing key.
    queue = json.dumps(app.conf.task_default_queue).encode()
    return {_task_id(value): tag for tag, value in raw.items() if value.rstrip(b"] ").endswith(queue)}


@dataclass(frozen=True, kw_only=True)
class HeldTasks:
    """The tasks that live workers have reserved or are working on."""

    ids: frozenset[str]  #: task ids
    #: Workers that are connected and gave no answer in time: slow, hung or cut off, but not known to be gone.
    silent_workers: int


def held_tasks(app: Celery) -> HeldTasks:
    """Ask all live workers which tasks they have reserved or are working on.

    One that does not answer within `INSPECT_TIMEOUT_S` is silent as long as it is connected: a main process may be held
    up, by a locked database for instance, while its children label. One that was killed is connected no more.
    """
    ids: set[str] = set()
    silent = 0
    with translated_errors(app):
        inspect = app.control.inspect(timeout=INSPECT_TIMEOUT_S)
        # A chunk goes from reserved to active and, where its process is replaced meanwhile, over the queue to reserved
        # again. With that asked for twice, it is in one of the answers.
        for ask in (inspect.reserved, inspect.active, inspect.reserved):
            replies = ask() or {}
            silent = max(silent, Channel.receivers - len(replies))
            for tasks in replies.values():
                ids |= {task["id"] for task in tasks}
    return HeldTasks(ids=frozenset(ids), silent_workers=silent)


def discard_unacknowledged(app: Celery, tags: set[bytes]) -> None:
    """Remove messages that dead workers had taken, so that Redis does not deliver them again."""
    if not tags:
        return
    with translated_errors(app), app.connection_for_read() as connection:
        channel = connection.default_channel
        channel.client.hdel(channel.unacked_key, *tags)
        channel.client.zrem(channel.unacked_index_key, *tags)


def workers(app: Celery) -> dict[str, int]:
    """Return the names of the workers that answer and serve this queue, with the number of chunks each is labelling."""
    queue = app.conf.task_default_queue
    with translated_errors(app):
        inspect = app.control.inspect(timeout=INSPECT_TIMEOUT_S)
        served = inspect.active_queues() or {}
        active = inspect.active() or {}
    serving = (name for name, queues in served.items() if any(one["name"] == queue for one in queues or ()))
    return {name: len(active.get(name, ())) for name in sorted(serving)}


def answers(app: Celery, host: str) -> bool:
    """Tell whether a worker of this host answers, whatever queue it serves: at once if one does.

    Args:
        app: a way to Redis.
        host: as `host.process.host_name` calls it, which is the end of its workers' names.

    """
    with translated_errors(app):
        of_host = {"pattern": f"*@{host}", "matcher": "glob"}
        inspect = app.control.inspect(timeout=PATIENT_INSPECT_TIMEOUT_S, limit=1, **of_host)
        return bool(inspect.ping())


def _prefixed(app: Celery, name: str) -> str:
    """Return a key with its prefix, for the commands that kombu's client does not prefix by itself."""
    return f"{app.conf.broker_transport_options['global_keyprefix']}{name}"


def _task_id(raw: bytes) -> str:
    """Return a message's task id; none, where the message is not one of ours."""
    try:
        message = json.loads(raw)
        if isinstance(message, list):  # as taken: the message, its exchange and its routing key
            message = message[0]
        return str(message["headers"]["id"])
    except (ValueError, LookupError, TypeError):
        return ""
