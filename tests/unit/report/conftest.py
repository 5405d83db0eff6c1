"""A database for what is only shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.database import Database
from storage.schema_version import ensure_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """A SQLite database: what is shown does not depend on which it is."""
    database = Database(f"sqlite:///{tmp_path / 'night.db'}")
    ensure_schema(database)
    yield database
    database.close()
