"""Fixtures: a farm on SQLite, and one on each database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.farm import Farm

if TYPE_CHECKING:
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from tests.command import Nightlabel


@pytest.fixture
def farm(nightlabel: Nightlabel, redis: PrivateRedis, tmp_path: Path) -> Farm:
    """A farm on SQLite and a Redis of its own."""
    return Farm(nightlabel, f"sqlite:///{tmp_path / 'night.db'}", redis.url)


@pytest.fixture(params=["sqlite", "postgres"])
def either_farm(request: pytest.FixtureRequest, nightlabel: Nightlabel, redis: PrivateRedis, tmp_path: Path) -> Farm:
    """A farm on SQLite, then one on Postgres."""
    if request.param == "sqlite":
        return Farm(nightlabel, f"sqlite:///{tmp_path / 'night.db'}", redis.url)
    return Farm(nightlabel, request.getfixturevalue("postgres_url"), redis.url)
