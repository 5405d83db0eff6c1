"""kombu's Redis transport, with a worker that neither ends nor falls silent over what is refused or lost.

kombu leaves gaps, each of which stops a worker that still runs:

- What it cannot take apart (no JSON, no object, a body that is not base64) raises in Celery's event loop, and so does a
  Redis that refuses to note what was taken, because it is full or its disk is: both end the worker.
- An acknowledgement whose reply never comes keeps its place among the messages that a worker may hold
  (`Message.ack_log_error` swallows the error): a worker that may hold one takes no other, for ever.
- A rejection that fails keeps its place in the same way.
- A channel whose connection was given up before it could be closed has no Redis any more. Closing it again, or settling
  one of its messages late, raises an AttributeError, which ends the worker.
"""

from __future__ import annotations

import logging
import time
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from kombu.utils.json import dumps
from redis.exceptions import ResponseError

logger = logging.getLogger(__name__)

#: Seconds before Redis is asked again after it refused.
REFUSED_PAUSE_S = 1.0


class QoS(redis.QoS):  # type: ignore[misc]  # kombu has no types
    """What a worker has taken and not acknowledged."""

    def held(self) -> set[str]:
        """Return the delivery tags."""
        return set(self._delivered)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message.

        Raises:
            BrokenPipeError: the connection is lost. It is the one error that has Celery connect anew.

        """
        if self._is_cut_off():
            self._leave(delivery_tag, "its connection was given up")
            return
        try:
            super().ack(delivery_tag)
        except ResponseError as error:
            self._leave(delivery_tag, error)
        except self.channel.connection_errors as error:
            raise BrokenPipeError(str(error)) from error

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        """Reject a message; where that fails, whoever follows the run finds its chunk with no live worker."""
        if self._is_cut_off():
            self._leave(delivery_tag, "its connection was given up")
            return
        try:
            super().reject(delivery_tag, requeue)
        except ResponseError as error:
            self._leave(delivery_tag, error)
        except self.channel.connection_errors:
            virtual.QoS.ack(self, delivery_tag)  # its place is free
            raise

    def restore_unacked(self, client: Any = None) -> None:  # noqa: ANN401 - kombu's
        """Give back what is held, unless there is no connection left: whoever follows the run finds it."""
        if self._is_cut_off():
            self._delivered.clear()
        else:
            super().restore_unacked(client)

    def _is_cut_off(self) -> bool:
        transport = self.channel.connection
        return transport is None or transport.client is None

    def _leave(self, delivery_tag: str, reason: object) -> None:
        """Free the place of a message that Redis keeps as unacknowledged."""
        logger.error("A message stays in Redis as unacknowledged: %s", reason)
        virtual.QoS.ack(self, delivery_tag)


class Channel(redis.Channel):  # type: ignore[misc]  # kombu has no types
    """A channel that outlives what it cannot read, and a Redis that refuses."""

    QoS = QoS
    #: How many connections the last message to all workers went to.
    receivers = 0

    def _put_fanout(self, exchange: str, message: dict[str, Any], routing_key: str, **_: Any) -> None:  # noqa: ANN401
        """Send a message to all that listen, and note how many do: Redis knows, and kombu does not ask."""
        topics = self._get_publish_topics(exchange, routing_key)
        with self.conn_or_acquire() as client:
            self.receivers = sum(client.publish(topic, dumps(message)) for topic in topics)

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ANN401 - kombu's
        """Read one message and hand it on.

        Raises:
            Empty: there is none, or it is of no use.

        """
        held = self.qos.held()
        try:
            return bool(super()._brpop_read(**options))
        except Empty:
            raise
        except ResponseError as error:
            # A message that was taken is nowhere now; whoever follows the run finds that, and publishes it again.
            logger.critical("Redis refuses: %s. Asking again in %g s.", error, REFUSED_PAUSE_S)
            time.sleep(REFUSED_PAUSE_S)
            raise Empty from error
        except Exception as error:
            # kombu counts a KeyError as a lost connection; here it is a message without what every message has.
            if isinstance(error, self.connection_errors) and not isinstance(error, KeyError):
                raise
            logger.error("Dropped what is no message of nightlabel's: %r", error)  # noqa: TRY400 - not ours to mend
            for delivery_tag in self.qos.held() - held:
                self.qos.reject(delivery_tag)
            raise Empty from error


class Transport(redis.Transport):  # type: ignore[misc]  # kombu has no types
    """kombu's Redis transport, on this channel."""

    Channel = Channel


def register() -> None:
    """Have every connection to a `redis:`, `rediss:` or `redis+socket:` URL use this transport."""
    TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = f"{__name__}:{Transport.__name__}"
