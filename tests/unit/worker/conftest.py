"""Fixtures: one photo to make files of, and the transforms that most models share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from worker.catalogue import find_entry

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Preprocessing


@pytest.fixture(scope="session")
def preprocessing(cache_dir: Path) -> Preprocessing:
    """ResNet-18's: 256, 224, bilinear."""
    return find_entry("resnet18", cache_dir).preprocessing


@pytest.fixture(scope="session")
def photo(photos: Path) -> Image.Image:
    """A real photo in RGB, taller than wide, with neither side even: 301 × 375."""
    with Image.open(photos / "n01531178_goldfinch.jpg") as picture:
        return picture.convert("RGB").crop((100, 0, 401, 375))
