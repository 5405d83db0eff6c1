"""kombu's Redis transport, with a worker that neither ends nor falls silent over what is refused or lost.

kombu 5.7.0 leaves gaps, each of which stops a worker that still runs. Functions without a file are of
kombu/transport/redis.py.

- A message that cannot be parsed (no JSON, no object, a body that is not base64) raises in Celery's event loop
  (`Channel._brpop_read`, `Channel._receive_one`), which ends the worker: https://github.com/celery/celery/issues/1825.
  So does a Redis that refuses to note what was taken, because it is full or its disk is (`QoS.append`); that workers
  stop over it is https://github.com/celery/celery/issues/5716.
- An acknowledgement whose reply never comes keeps its place among the messages that a worker may hold
  (kombu/message.py, `Message.ack_log_error` swallows the error): a worker that may hold one takes no other, for ever.
- A rejection that fails keeps its place in the same way (`Message.reject_log_error`).
- A refusal that waiting does not cure, like that of a permission or of a password, is retried for ever
  (celery/worker/consumer/consumer.py, `Consumer.start`).
- A channel whose connection was given up before it could be closed has no Redis any more. Closing it again, or settling
  one of its messages late, raises an AttributeError, which ends the worker (`QoS.ack`, `QoS.restore_unacked`).

What lies between BRPOP and `QoS.append` when a process is killed is lost, and nothing here can help that
(https://github.com/celery/celery/issues/4354): whoever follows a run publishes it again.
"""

from __future__ import annotations

import logging
import time
from queue import Empty
from typing import TYPE_CHECKING, Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis.exceptions import RedisError, ResponseError
from redis.sentinel import MasterNotFoundError

from broker.errors import broker_error, is_transient
from broker.qos import QoS

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

#: Seconds before Redis is asked again after it refused.
REFUSED_PAUSE_S = 1.0


class UnreadableError(Exception):
    """A message that cannot be parsed: no JSON, or without what every message has."""


class Message(virtual.Message):  # type: ignore[misc]  # kombu has no types
    """A message, whole: what can be wrong with its shape is found here, before anybody acts on it."""

    def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:  # noqa: ANN401 - kombu's
        try:
            super().__init__(payload, channel=channel, **options)
            delivery = self.delivery_info
            named = (self.delivery_tag, delivery["exchange"], delivery["routing_key"])
        except Exception as error:
            raise UnreadableError(repr(error)) from error
        if not all(isinstance(name, str) for name in named):
            raise UnreadableError(f"no names in {named!r}")


class Channel(redis.Channel):  # type: ignore[misc]  # kombu has no types
    """A channel that survives what it cannot parse, and a Redis that refuses."""

    QoS = QoS
    #: How many connections this process' last message to all workers went to, over whichever channel: kombu takes one
    #: from a pool.
    receivers = 0
    Message = Message

    def _put_fanout(self, exchange: str, message: dict[str, Any], routing_key: str, **_: Any) -> None:  # noqa: ANN401
        """Send a message to all that listen, and note how many do: Redis knows, and kombu does not ask."""
        topics = self._get_publish_topics(exchange, routing_key)
        with self.conn_or_acquire() as client:
            Channel.receivers = sum(client.publish(topic, dumps(message)) for topic in topics)

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ANN401 - kombu's
        """Read one message and hand it on.

        Raises:
            Empty: there is none, or it was dropped, or it will be tried again.

        """
        before = self.qos.unsettled()
        try:
            queue, raw = self._take(**options)
            self.connection._deliver(_parsed(raw), queue)  # noqa: SLF001 - as kombu's own channel does
        except Empty:
            raise
        except UnreadableError as error:
            logger.error(  # noqa: TRY400 - another program's
                "Dropped what is no message of nightlabel's: %s",
                error,
                extra={"action": "message_dropped", "error": str(error)},
            )
            raise Empty from error
        except ResponseError as error:
            self.connection.raise_if_permanent(error)
            # A message that was taken is nowhere now; whoever follows the run finds that, and publishes it again.
            logger.critical(
                "Redis refuses: %s. Trying again in %g s.",
                error,
                REFUSED_PAUSE_S,
                extra={"action": "redis_refused", "error": str(error)},
            )
            time.sleep(REFUSED_PAUSE_S)
            raise Empty from error
        except Exception as error:
            # kombu counts a KeyError as a lost connection; here it is a fault of whoever was handed the message.
            if isinstance(error, self.connection_errors) and not isinstance(error, KeyError):
                raise
            for delivery_tag in self.qos.unsettled() - before:
                self.qos.settle_failed(delivery_tag, error)
            raise Empty from error
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        return True

    def _take(self, **options: Any) -> tuple[str, bytes]:  # noqa: ANN401 - kombu's
        """Return the queue and the message that Redis answers with."""
        connection = self.client.connection
        try:
            answer = self.client.parse_response(connection, "BRPOP", **options)
        except self.connection_errors:
            connection.disconnect()  # the next question connects anew
            raise
        if not answer:
            raise Empty
        queue = bytes_to_str(answer[0]).rsplit(self.sep, 1)[0]
        self._queue_cycle.rotate(queue)
        return queue, answer[1]

    def _receive_one(self, client: Any) -> Any:  # noqa: ANN401 - kombu's
        """Read one broadcast, like a question to all workers, and hand it on."""
        try:
            return super()._receive_one(client)
        except UnreadableError as error:
            logger.error(  # noqa: TRY400 - another program's
                "Ignored what is no broadcast of Celery's: %s",
                error,
                extra={"action": "broadcast_ignored", "error": str(error)},
            )
            raise Empty from error
        except ResponseError as error:  # of a subscription
            self.connection.raise_if_permanent(error)
            raise


def _parsed(raw: bytes) -> Any:  # noqa: ANN401 - any JSON; `Message` finds out
    try:
        return loads(bytes_to_str(raw))
    except Exception as error:  # RecursionError too, of a thousand brackets
        raise UnreadableError(repr(error)) from error


class SentinelChannel(Channel, redis.SentinelChannel):  # type: ignore[misc]  # kombu has no types
    """A channel to the server that sentinels name."""

    from_transport_options = (*redis.SentinelChannel.from_transport_options, "sentinels")
    #: Host and port of each. kombu reads them from further URLs, which would each carry the password.
    sentinels: Sequence[tuple[str, int]] = ()

    def _connparams(self, asynchronous: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - kombu's
        self.connection.client.alt = [
            f"sentinel://{f'[{host}]' if ':' in host else host}:{port}" for host, port in self.sentinels
        ]
        return super()._connparams(asynchronous)


class Transport(redis.Transport):  # type: ignore[misc]  # kombu has no types
    """kombu's Redis transport, on this channel. An error that waiting does not cure is not retried."""

    Channel = Channel

    def create_channel(self, connection: Any) -> Any:  # noqa: ANN401 - kombu's
        """Make a channel.

        Raises:
            BrokerError: Redis refuses what waiting does not cure.

        """
        try:
            return super().create_channel(connection)
        except (RedisError, OSError) as error:
            self.raise_if_permanent(error)
            raise

    def raise_if_permanent(self, error: Exception) -> None:
        """Raise a `BrokerError` for an error that waiting does not cure."""
        if not is_transient(error):
            url = self.client.as_uri()
            raise broker_error(url if self.client.password else url.replace("://:**@", "://"), error) from error


class SentinelTransport(Transport, redis.SentinelTransport):  # type: ignore[misc]  # kombu has no types
    """The same, to the server that sentinels name."""

    Channel = SentinelChannel

    def create_channel(self, connection: Any) -> Any:  # noqa: ANN401 - kombu's
        """Make a channel.

        Raises:
            BrokerError: Redis refuses what waiting does not cure.
            MasterNotFoundError: no sentinel knows the server, or none answers.

        """
        try:
            return super().create_channel(connection)
        except MasterNotFoundError as error:
            # Behind the colon stands the inner life of redis-py's objects, a screenful for each sentinel.
            raise MasterNotFoundError(str(error).partition(" : ")[0]) from None


def register() -> None:
    """Have every connection to Redis use this transport."""
    TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = f"{__name__}:{Transport.__name__}"
    TRANSPORT_ALIASES["sentinel"] = f"{__name__}:{SentinelTransport.__name__}"
