"""The Celery app, and every setting of it with its reason."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from celery import Celery
from kombu import Queue

from broker import transport
from common.errors import BrokerError, UsageError
from common.redis_url import TLS_PATHS, RedisAddress

if TYPE_CHECKING:
    from common.settings import Settings

LABEL_CHUNK = "nightlabel.label_chunk"


def queue_name(identity: str) -> str:
    """Return the name of a database's queue: several databases may share one Redis. Its key is `<key prefix>NAME`."""
    return f"chunks-{identity}"


def make_app(settings: Settings, identity: str | None = None) -> Celery:
    """Return an app; `worker.celery` adds the task to it.

    Args:
        settings: what can be set.
        identity: of the database whose chunks go over the queue; None: `use_database_queue` names it later.

    Raises:
        BrokerError: no broker is set.
        UsageError: the broker's URL names a file that is not there.

    """
    if settings.broker_url is None:
        raise BrokerError(
            "No broker is set. Name your Redis, as in NIGHTLABEL_BROKER_URL=redis://localhost:6379/0;"
            " or use `nightlabel run`, which starts a private one."
        )
    transport.register()
    address = RedisAddress.parse(settings.broker_url)
    _raise_if_file_missing(address)
    app = Celery("nightlabel", broker=address.url, set_as_current=False)
    app.conf.update(
        **_messages(),
        **_connection(address),
        **_acknowledgement(),
        **_limits(settings),
        **_shutdown(),
        broker_transport_options=_transport_options(settings, address),
    )
    if identity:
        use_database_queue(app, identity)
    return app


def _messages() -> dict[str, Any]:
    """What travels is one task, in JSON: nothing that a message says is ever executed."""
    return {
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,  # outcomes are in the database; a result backend would hold them twice
        "result_backend": None,
    }


def _connection(address: RedisAddress) -> dict[str, Any]:
    return {
        # kombu alone would take any certificate.
        "broker_use_ssl": address.tls and dict(address.tls),
        # Ends with a sentence, and the status that stands for Redis, where kombu's would end with a traceback.
        "worker_consumer": "broker.consumer:Consumer",
        # Redis may be away for the night; a worker that waits needs nobody to start it again.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
    }


def _acknowledgement() -> dict[str, Any]:
    """Acknowledge after the commit. A child that dies, or hangs and is killed, gives its chunk back.

    Celery would repeat that for ever (https://github.com/celery/celery/issues/9082): the database counts the starts.
    """
    return {
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_timeout": False,
        "worker_prefetch_multiplier": 1,  # a dying worker holds the least; it costs no throughput
        # Seconds until the chunk of a child that died is requeued: its last answer may still be in the pipe. One that
        # comes later does no harm, for a chunk that is done is not labelled again. The default is 10.
        "worker_lost_wait": 1,
        # A task whose connection broke cannot acknowledge: its chunk will run elsewhere.
        "worker_cancel_long_running_tasks_on_connection_loss": True,
    }


def _limits(settings: Settings) -> dict[str, Any]:
    """Return what bounds a labelling process: in time, in chunks and in memory."""
    return {
        "task_time_limit": settings.time_limit_s,
        "task_soft_time_limit": settings.soft_time_limit_s,
        # A replacement child loads its model first; the default of 4 s kills a slow one again and again.
        # https://github.com/celery/celery/issues/1715
        "worker_proc_alive_timeout": 120,
        # Whatever a decoder leaks is gone after 2,000 chunks, about 128,000 images.
        "worker_max_tasks_per_child": 2000,
        # What a child holds beyond the limit after a chunk is a leak: another one takes its place. In KiB.
        "worker_max_memory_per_child": settings.memory_limit_mb and settings.memory_limit_mb * 1_000_000 // 1024,
    }


def _shutdown() -> dict[str, Any]:
    """SIGTERM lets the chunks in work end, however long that takes (the time limit bounds it).

    A second Ctrl-C gives them this many seconds: Celery sleeps all of it, whether or not they end sooner.
    """
    return {"worker_soft_shutdown_timeout": 10}


def _transport_options(settings: Settings, address: RedisAddress) -> dict[str, Any]:
    """Return the options of kombu's Redis transport."""
    options = {
        # Redelivered when not acknowledged by then: more than twice the hard limit, and the prefetch.
        "visibility_timeout": max(600, settings.time_limit_s * 4),
        # Look for chunks of dead workers every 5 s; the default is every 100 s.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # A connection that was cut without a word is noticed within a minute, though a worker may hold three of them,
        # and wait for each in turn.
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "global_keyprefix": settings.key_prefix,
        # A producer says within a second that Redis is away; whoever follows a run tries again by itself, and a
        # worker's own connection has its own, endless retries.
        "max_retries": 2,
        "interval_start": 0.1,
        "interval_step": 0.2,
        "interval_max": 0.3,
    }
    if address.master_name:
        options |= {"master_name": address.master_name, "sentinels": address.hosts}
    return options


def use_database_queue(app: Celery, identity: str) -> None:
    """Have the app use the queue of a database, and no other."""
    queue = queue_name(identity)
    app.conf.update(task_queues=[Queue(queue)], task_default_queue=queue, task_default_routing_key=queue)


def _raise_if_file_missing(address: RedisAddress) -> None:
    """Name a missing file at once: from the error that redis-py makes of it, nobody could tell that it will last."""
    for name in TLS_PATHS:
        path = (address.tls or {}).get(name)
        if path and not os.access(str(path), os.R_OK):
            raise UsageError(f"NIGHTLABEL_BROKER_URL names {name}={path}, which is not there, or may not be read.")
