"""Which queue a worker reads: its database's, also when the database is made anew under it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery.bootsteps import StartStopStep
from celery.worker import state

from broker.app import queue_of, serve_database
from common.errors import DatabaseError
from storage.database import Database
from storage.identity import identity_of

if TYPE_CHECKING:
    from common.settings import Settings

logger = logging.getLogger(__name__)

#: Seconds between two looks of an idle worker. One that has chunks need not look: their database is its own.
LOOK_EVERY_S = 10.0


def queue_step(settings: Settings) -> type[StartStopStep]:
    """Return the part of Celery's consumer that keeps to the queue of the database which the settings name.

    Source: https://docs.celeryq.dev/en/stable/userguide/extending.html#consumer
    """

    class OwnQueue(StartStopStep):  # type: ignore[misc]  # Celery has no types
        """Looks, while the worker is idle, whether the database is still the one whose queue it reads."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, parent: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's
            super().__init__(parent, **options)
            self._timer: Any = None

        def start(self, parent: Any) -> None:  # noqa: ANN401 - a Consumer
            self._timer = parent.timer.call_repeatedly(LOOK_EVERY_S, _look, (parent, settings))

        def stop(self, parent: Any) -> None:  # noqa: ANN401, ARG002 - a Consumer
            if self._timer:
                self._timer.cancel()
                self._timer = None

    return OwnQueue


def _look(consumer: Any, settings: Settings) -> None:  # noqa: ANN401 - Celery's
    if state.reserved_requests:
        return
    found = _identity(settings)
    current = consumer.app.conf.task_default_queue
    if found is None or queue_of(found) == current:
        return
    logger.warning("The database is another one than before: reading its queue from here on")
    consumer.cancel_task_queue(current)
    serve_database(consumer.app, found)
    consumer.add_task_queue(queue_of(found))


def _identity(settings: Settings) -> str | None:
    """Return the identity of the database that is there now; None: there is none, or it does not answer."""
    # Opened and closed here: a child that is forked later must inherit no connection.
    database = Database(settings.database_url, was_there=True)
    try:
        return identity_of(database)
    except DatabaseError as error:  # also of one that has no tables yet
        logger.info("Not known whether the database is the same. %s", error)
        return None
    finally:
        database.close()
