"""What tests of several parts build upon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.app import make_app
from tests.unit.broker.queues import IDENTITY, settings_for

if TYPE_CHECKING:
    from celery import Celery

    from broker.private_redis import PrivateRedis


@pytest.fixture
def app(redis: PrivateRedis) -> Celery:
    """The Celery app, on the test's own Redis."""
    return make_app(settings_for(redis), IDENTITY)
