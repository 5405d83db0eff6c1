"""Which queue a worker reads: that of its database, also when the database is replaced while the worker runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery.bootsteps import StartStopStep
from celery.worker import state

from broker.app import queue_name, use_database_queue
from common.errors import DatabaseError
from storage.database import Database
from storage.identity import database_identity

if TYPE_CHECKING:
    from common.settings import Settings

logger = logging.getLogger(__name__)

#: Seconds between two checks of an idle worker. One that has chunks need not check: their database is its own.
CHECK_EVERY_S = 10.0


def queue_step(settings: Settings) -> type[StartStopStep]:
    """Return a step of Celery's consumer that has it read the queue of the database which the settings name.

    Source: https://docs.celeryq.dev/en/stable/userguide/extending.html#consumer; `Consumer.add_task_queue` and
    `Consumer.cancel_task_queue`, celery 5.7.0, celery/worker/consumer/consumer.py.
    """

    class DatabaseQueue(StartStopStep):  # type: ignore[misc]  # Celery has no types
        """Checks, while the worker is idle, whether the database is still the one whose queue it reads."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, parent: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's
            super().__init__(parent, **options)
            self._timer: Any = None

        def start(self, parent: Any) -> None:  # noqa: ANN401 - a Consumer
            self._timer = parent.timer.call_repeatedly(CHECK_EVERY_S, _check_database, (parent, settings))

        def stop(self, parent: Any) -> None:  # noqa: ANN401, ARG002 - a Consumer
            if self._timer:
                self._timer.cancel()
                self._timer = None

    return DatabaseQueue


def _check_database(consumer: Any, settings: Settings) -> None:  # noqa: ANN401 - Celery's
    if state.reserved_requests:
        return
    found = _identity(settings)
    current = consumer.app.conf.task_default_queue
    if found is None or queue_name(found) == current:
        return
    logger.warning(
        "The database was replaced by another one; reading that one's queue from now on",
        extra={"action": "database_replaced", "queue": queue_name(found)},
    )
    consumer.cancel_task_queue(current)
    use_database_queue(consumer.app, found)
    consumer.add_task_queue(queue_name(found))


def _identity(settings: Settings) -> str | None:
    """Return the identity of the database that is there now; None: there is none, or it does not answer."""
    # Opened and closed here: a child that is forked later must inherit no connection.
    database = Database(settings.database_url, must_exist=True)
    try:
        return database_identity(database)
    except DatabaseError as error:  # also of one that has no tables yet
        logger.info(
            "It is unknown whether the database is still the same. %s",
            error,
            extra={"action": "database_unknown", "error": str(error)},
        )
        return None
    finally:
        database.close()
