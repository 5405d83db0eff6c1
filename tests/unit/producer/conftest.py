"""A run with chunks to publish, and its way to the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from producer.publish import Publisher
from tests.unit.broker.queues import IDENTITY, settings_for
from tests.unit.storage.nights import add, begin_run, photos

if TYPE_CHECKING:
    from celery import Celery

    from broker.private_redis import PrivateRedis
    from storage.database import Database
    from storage.records import Run


@pytest.fixture
def run(database: Database) -> Run:
    """A run with five chunks of two images."""
    run = begin_run(database)
    add(database, run, photos(10), chunk_size=2)
    return run


@pytest.fixture
def publisher(app: Celery, redis: PrivateRedis, database: Database, run: Run) -> Publisher:
    return Publisher(app, database, IDENTITY, run, settings_for(redis))
