"""A night to label, on SQLite and on Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.worker.nights import Night

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.database import Database


@pytest.fixture
def night(settings: Settings, resnet18: ReadyModel, photos: Path, database: Database) -> Iterator[Night]:
    """A run with one chunk of five photos, on each kind of database."""
    night = Night(settings, resnet18, photos, database)
    yield night
    night.process.database.close()
