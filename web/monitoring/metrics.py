"""The night in numbers, for Prometheus: by the tables and the queue, at the moment of a scrape."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from broker.app import make_app
from broker.queue import depth, unacknowledged
from common.errors import BrokerError, DatabaseError, QueryTimeoutError, UsageError
from runner.status import SPEED_WINDOW, WORKER_SILENCE
from storage.identity import database_identity
from storage.measures import measure
from web.monitoring.families import table_families
from web.monitoring.refreshed import Refreshed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from prometheus_client import Metric

    from common.settings import Settings
    from storage.database import Database

logger = logging.getLogger(__name__)

#: Seconds that metrics are good for: several who scrape ask the tables once.
_KEPT_S = 5.0
#: Seconds that the statements of a scrape may take together.
_TABLES_S = 2.0
#: Seconds that whoever scrapes waits at most: Prometheus gives up after 10.
_LIMIT_S = 8.0


def metrics(
    settings: Settings, database: Callable[[], AbstractContextManager[Database]]
) -> Refreshed[tuple[Metric, ...]]:
    """Return the metrics of the page's database and its queue."""
    return Refreshed(partial(_families, settings, database), kept_s=_KEPT_S, limit_s=_LIMIT_S)


def _families(settings: Settings, database: Callable[[], AbstractContextManager[Database]]) -> tuple[Metric, ...]:
    info = GaugeMetricFamily(
        "nightlabel_build_info", "Always 1; the label is nightlabel's version.", labels=["version"]
    )
    info.add_metric([version("nightlabel")], 1)
    up = GaugeMetricFamily("nightlabel_database_up", "Whether the database answered in time and is of this version.")
    found: tuple[Metric, ...] = ()
    identity = None
    try:
        with database() as opened:
            identity = database_identity(opened)
            found = _of_tables(settings, opened)
    except DatabaseError as error:
        logger.info("no metrics of the tables: %s", error)
    up.add_metric([], bool(found))
    return (info, up, *found, *(_of_queue(settings, identity) if identity and settings.broker_url else ()))


def _of_tables(settings: Settings, database: Database) -> tuple[Metric, ...]:
    begun = time.perf_counter()
    try:
        measures = measure(database, SPEED_WINDOW, WORKER_SILENCE, time_limit_s=_TABLES_S)
    except QueryTimeoutError as error:  # no reason to open the database anew
        logger.info("no metrics of the tables: %s", error)
        return ()
    taken = GaugeMetricFamily(
        "nightlabel_tables_read_seconds", "How long it took to read the tables.", time.perf_counter() - begun
    )
    return (*table_families(measures, timedelta(seconds=settings.stall_limit_s)), taken)


def _of_queue(settings: Settings, identity: str) -> Iterator[Metric]:
    up = GaugeMetricFamily("nightlabel_broker_up", "Whether Redis answered.")
    try:
        with make_app(settings, identity) as app:
            waiting, taken = depth(app), unacknowledged(app)
    except (BrokerError, UsageError) as error:
        logger.info("no metrics of the queue: %s", error)
        up.add_metric([], 0)
        yield up
        return
    up.add_metric([], 1)
    yield up
    yield GaugeMetricFamily("nightlabel_queue_chunks", "Chunks that wait for a worker.", waiting)
    yield GaugeMetricFamily(
        "nightlabel_queue_unacknowledged_chunks", "Chunks that a worker has taken and not yet acknowledged.", taken
    )
