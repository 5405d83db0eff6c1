"""What a Redis must permit: each command is tried before anything depends on it, and all refusals are named at once."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from broker.errors import broker_error, is_transient, reply_code
from common.errors import BrokerError
from common.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

#: What `celery.app.control` calls the exchange over which all workers are asked, and the one of their answers.
_PIDBOX = "celery.pidbox"
#: And where workers tell that they live, for Flower. One that may not would keep what it could not tell, for ever.
_HEARTBEAT = "celeryev/worker.heartbeat"
_SCRIPT = "return redis.call('TIME')"
#: The version that knows `ZRANGE … BYSCORE REV`, with which kombu finds what dead workers had taken.
_OLDEST = "6.2"
#: Seconds that a subscription is waited for.
_SUBSCRIBE_S = 5.0
#: Milliseconds after which a key is gone that could not be removed.
_SOON_MS = 60_000


@dataclass
class _Refusals:
    """What is not permitted."""

    commands: list[str] = field(default_factory=list)
    keys: bool = False
    channels: list[str] = field(default_factory=list)

    def add(self, command: str, said: str, target: object = "") -> None:
        """Add what a reply of the code NOPERM refuses: a command, a key or a channel, which only its words tell."""
        said = said.lower()
        if "to run" in said:
            self.commands.append(command.lower())
        elif "channel" in said:
            self.channels.append(str(target))
        else:
            self.keys = True

    def sentence(self, prefix: str) -> str:
        parts = [f"the commands {', '.join(dict.fromkeys(self.commands))}"] if self.commands else []
        parts += [f"the keys {prefix}*"] if self.keys else []
        parts += [f"the channels {', '.join(dict.fromkeys(self.channels))}"] if self.channels else []
        return "; ".join(parts)


def check_permissions(app: Celery, channel: Any) -> str | None:  # noqa: ANN401 - kombu's
    """Try all commands of producers, workers and `status`; return a warning about how the server is configured.

    Raises:
        BrokerError: naming every command, key and channel that is not permitted, or whatever else the server refuses.

    """
    url = redact(app.conf.broker_url)
    prefix = channel.global_keyprefix
    fanout = f"{prefix}{channel.keyprefix_fanout}"
    broadcast = f"{fanout}{_PIDBOX}"
    refusals = _Refusals()
    with Redis(connection_pool=channel.pool, single_connection_client=True) as client:
        for command, *arguments in _commands(app, channel):
            _try(client, url, refusals, command, *arguments)
        for topic in (broadcast, f"{fanout}{_HEARTBEAT}"):
            _try(client, url, refusals, "PUBLISH", topic, "")  # kombu leaves out what is empty
        _try_to_subscribe(client, broadcast, refusals)
        missing = refusals.sentence(prefix)
        if missing:
            raise BrokerError(
                f"Redis at {url} does not allow this user {missing}."
                " docs/several-hosts.md has the ACL of a user that may do what nightlabel does."
            )
        return _warning(client, url)


def _try(client: Any, url: str, refusals: _Refusals, command: str, *arguments: str | float) -> None:  # noqa: ANN401
    try:
        client.execute_command(*command.split(), *arguments)
    except ResponseError as error:
        said, code = str(error), reply_code(error)
        if code == "NOPERM":
            refusals.add(command, said, arguments[0] if arguments else "")
            return
        if code == "ERR" and ("syntax error" in said or "unknown command" in said):  # the code of a hundred errors
            raise BrokerError(
                f"Redis at {url} does not know {command} as Redis {_OLDEST} does, which nightlabel needs: {said}."
            ) from error
        # Without the permission to load a script, it is not there; and whoever follows the run waits for an outage.
        if not isinstance(error, NoScriptError) and not is_transient(error):
            raise broker_error(url, error) from error


def _commands(app: Celery, channel: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - kombu's
    """Yield every command that is ever sent, on keys of this check's own; and read ours, which may be another's."""
    prefix = channel.global_keyprefix
    mine = f"{prefix}check-{uuid.uuid4().hex}"
    yield ("PING",)
    if channel.pool.connection_kwargs["db"]:
        yield "SELECT", channel.pool.connection_kwargs["db"]
    yield from ((command, f"{mine}-list", "x") for command in ("LPUSH", "RPUSH"))
    yield "LRANGE", f"{mine}-list", 0, -1
    yield "BRPOP", f"{mine}-list", f"{mine}-priority", 1
    yield "HSET", f"{mine}-hash", "x", "x"
    yield from ((command, f"{mine}-hash", "x") for command in ("HGET", "HDEL"))
    yield "ZADD", f"{mine}-sorted", "GT", 1, "x"
    yield "ZRANGEBYSCORE", f"{mine}-sorted", 0, 1, "LIMIT", 0, 1
    yield "ZREM", f"{mine}-sorted", "x"
    yield from ((command, f"{mine}-set", "x") for command in ("SADD", "SREM"))
    yield "SET", f"{mine}-lock", "x", "NX", "PX", _SOON_MS
    yield "PEXPIRE", f"{mine}-lock", _SOON_MS
    yield "EXISTS", f"{mine}-lock"
    yield "DEL", f"{mine}-lock", f"{mine}-list", f"{mine}-hash", f"{mine}-sorted", f"{mine}-set"
    yield "SCRIPT LOAD", _SCRIPT
    yield "SCRIPT EXISTS", "0" * 40
    yield "EVALSHA", "0" * 40, 1, f"{mine}-lock"
    yield ("TIME",)
    yield "WATCH", f"{mine}-lock"
    yield from (("UNWATCH",), ("MULTI",), ("EXEC",))
    yield "LLEN", f"{prefix}{app.conf.task_default_queue}"
    yield "HGETALL", f"{prefix}{channel.unacked_key}"
    yield "ZRANGE", f"{prefix}{channel.unacked_index_key}", 0, 0, "BYSCORE", "REV", "LIMIT", 0, 1
    yield "GET", f"{prefix}{channel.unacked_mutex_key}"
    yield "SMEMBERS", f"{prefix}{channel.keyprefix_queue % _PIDBOX}"


def _try_to_subscribe(client: Any, broadcast: str, refusals: _Refusals) -> None:  # noqa: ANN401 - redis-py's
    with client.pubsub() as subscription:
        for command, ask in (("PSUBSCRIBE", subscription.psubscribe), ("PUNSUBSCRIBE", subscription.punsubscribe)):
            try:
                ask(broadcast)
                subscription.get_message(timeout=_SUBSCRIBE_S)
            except NoPermissionError as error:
                refusals.add(command, str(error), broadcast)


def _warning(client: Any, url: str) -> str | None:  # noqa: ANN401 - redis-py's
    try:
        memory = client.info("memory")
    except ResponseError:  # nothing else needs this permission
        return None
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy == "noeviction" or not memory.get("maxmemory"):
        return None
    return (
        f"Redis at {url} drops keys when it is full (maxmemory-policy {policy}), the queue among them. What it drops is"
        " published again, but slowly: set maxmemory-policy noeviction."
    )
