"""Celery's consumer, which ends a worker in good order where Redis refuses for good."""

from __future__ import annotations

import logging

from celery.exceptions import WorkerShutdown
from celery.worker.consumer import Consumer as CeleryConsumer

from common.errors import BrokerError

logger = logging.getLogger(__name__)


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """Takes messages until it is told to stop, or Redis refuses what no waiting cures."""

    def start(self) -> None:
        """Take messages.

        Raises:
            WorkerShutdown: with the exit status that says what is wrong.

        """
        try:
            super().start()
        except BrokerError as error:
            logger.critical("The worker ends. %s", error)
            raise WorkerShutdown(error.exit_status) from None
