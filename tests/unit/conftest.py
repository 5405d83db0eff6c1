"""What tests of several rooms build upon: a queue, an archive, a photo to make files of."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from broker.app import make_app
from models.catalogue import find_entry
from tests.unit.broker.queues import IDENTITY, settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from celery import Celery

    from broker.private_redis import PrivateRedis
    from storage.records import Preprocessing


@pytest.fixture
def app(redis: PrivateRedis) -> Celery:
    """The Celery app, on the test's own Redis."""
    return make_app(settings_for(redis), IDENTITY)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty archive."""
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


@pytest.fixture(scope="session")
def preprocessing(cache_dir: Path) -> Preprocessing:
    """ResNet-18's: 256, 224, bilinear."""
    return find_entry("resnet18", cache_dir).preprocessing


@pytest.fixture(scope="session")
def photo(photos: Path) -> Image.Image:
    """A real photo in RGB, taller than wide, with neither side even: 301 × 375."""
    with Image.open(photos / "n01531178_goldfinch.jpg") as picture:
        return picture.convert("RGB").crop((100, 0, 401, 375))
