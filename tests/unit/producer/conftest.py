"""Archives to scan."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


@pytest.fixture
def open_root(short_folder: Path) -> Iterator[Path]:
    """An archive that a user without privileges can reach."""
    folder = short_folder / uuid.uuid4().hex[:8]
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)
