"""Celery's consumer, which shuts a worker down in good order where Redis refuses what waiting does not cure.

Celery's own connects again for ever over such an error, or ends with a traceback and no status that tells why. Source:
celery 5.7.0, celery/worker/consumer/consumer.py, `Consumer.start`.
"""

from __future__ import annotations

import logging

from celery.exceptions import WorkerShutdown
from celery.worker.consumer import Consumer as CeleryConsumer

from common.errors import BrokerError

logger = logging.getLogger(__name__)


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """Consumes messages until it is told to stop, or Redis refuses what waiting does not cure."""

    def start(self) -> None:
        """Consume messages.

        Raises:
            WorkerShutdown: with the exit status that says what is wrong.

        """
        try:
            super().start()
        except BrokerError as error:
            logger.critical("The worker ends. %s", error, extra={"action": "worker_ends", "error": str(error)})
            raise WorkerShutdown(error.exit_status) from None
