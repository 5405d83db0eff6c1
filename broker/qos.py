"""What a worker has taken from Redis and not acknowledged: kombu's QoS, which frees the place of what it cannot settle.

The gaps of kombu that it closes are listed in `broker.transport`.
"""

from __future__ import annotations

import logging
from typing import Any

from kombu.transport import redis, virtual
from redis.exceptions import ResponseError

logger = logging.getLogger(__name__)


class QoS(redis.QoS):  # type: ignore[misc]  # kombu has no types
    """What a worker has taken and not acknowledged."""

    def unsettled(self) -> set[str]:
        """Return the delivery tags of unsettled messages; one that is redelivered keeps its own."""
        return {tag for tag in self._delivered if tag not in self._dirty}

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message.

        Raises:
            BrokenPipeError: the connection is lost. It is the one error that has Celery connect anew.

        """
        if self._is_cut_off():
            self._keep_in_redis(delivery_tag, "its connection was given up")
            return
        try:
            super().ack(delivery_tag)
        except ResponseError as error:
            self._keep_in_redis(delivery_tag, error)
        except self.channel.connection_errors as error:
            raise BrokenPipeError(str(error)) from error

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        """Reject a message; where that fails, whoever follows the run finds its chunk with no live worker."""
        if self._is_cut_off():
            self._keep_in_redis(delivery_tag, "its connection was given up")
            return
        try:
            super().reject(delivery_tag, requeue)
        except ResponseError as error:
            self._keep_in_redis(delivery_tag, error)
        except self.channel.connection_errors:
            virtual.QoS.ack(self, delivery_tag)  # its place is free
            raise

    def restore_unacked(self, client: Any = None) -> None:  # noqa: ANN401 - kombu's
        """Requeue what is unacknowledged, unless there is no connection left: whoever follows the run finds it."""
        if self._is_cut_off():
            self._delivered.clear()
        else:
            super().restore_unacked(client)

    def settle_failed(self, delivery_tag: str, error: Exception) -> None:
        """Settle a message that Celery raised over: drop it where its body cannot be read, else have it tried again.

        At its second time it stays in Redis as unacknowledged, for it would go round for ever: whoever follows the run
        finds its chunk with no live worker.
        """
        message = self.get(delivery_tag)
        if not _has_body(message):
            logger.error(
                "Dropped a message whose body cannot be read: %r",
                error,
                extra={"action": "message_dropped", "error": repr(error)},
            )
            self.reject(delivery_tag)
            return
        logger.error(
            "Celery raised an error over a message",
            exc_info=error,
            extra={"action": "message_failed", "error": repr(error)},
        )
        if message.headers.get("redelivered"):
            self._keep_in_redis(delivery_tag, "Celery failed over it twice")
        else:
            self.reject(delivery_tag, requeue=True)

    def _is_cut_off(self) -> bool:
        transport = self.channel.connection
        return transport is None or transport.client is None

    def _keep_in_redis(self, delivery_tag: str, reason: object) -> None:
        """Free the place of a message among those that this worker may hold; Redis keeps it as unacknowledged."""
        logger.error(
            "A message stays in Redis as unacknowledged: %s",
            reason,
            extra={"action": "message_unacknowledged", "error": str(reason)},
        )
        virtual.QoS.ack(self, delivery_tag)


def _has_body(message: Any) -> bool:  # noqa: ANN401 - kombu's
    try:
        return isinstance(message.payload, list | dict)  # as Celery's two protocols have it
    except Exception:  # noqa: BLE001 - whatever a decoder raises over foreign bytes
        return False
