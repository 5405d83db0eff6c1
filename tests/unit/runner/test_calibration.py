"""Calibration: a sample of the archive, read and decoded in a process of its own, of which nothing ends the command."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

import runner.calibration
from common.errors import ArchiveError, ModelError
from models.calibrated import MIN_IMAGES
from runner.calibration import calibrate_on, draw_views, read_views

if TYPE_CHECKING:
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.records import Preprocessing


@pytest.fixture
def int8(settings: Settings, resnet18: ReadyModel, tmp_path: Path) -> Settings:
    """int8 in a cache of the test's own, where the model is prepared and not calibrated."""
    assert resnet18.prepared
    cache_dir = tmp_path / "cache"
    shutil.copytree(resnet18.prepared, cache_dir / "models" / resnet18.prepared.name)
    for catalogue in settings.cache_dir.glob("catalogue-*"):
        shutil.copy(catalogue, cache_dir)
    return settings.model_copy(update={"precision": "int8", "int8_min_agreement": 0.0, "cache_dir": cache_dir})


def some_photos(photos: Path, folder: Path, count: int) -> Path:
    folder.mkdir()
    for path in sorted(photos.glob("*.jpg"))[:count]:
        shutil.copy(path, folder)
    return folder


def test_an_image_that_cannot_be_read_or_decoded_is_none_of_the_views(
    photos: Path, tmp_path: Path, settings: Settings, preprocessing: Preprocessing
) -> None:
    folder = some_photos(photos, tmp_path / "archive", 3)
    first, second, third = sorted(folder.iterdir())
    second.write_bytes(second.read_bytes()[:300])  # cut off
    paths = [str(first), str(second), str(folder / "gone.jpg"), str(third)]

    views = read_views(paths, settings, preprocessing)

    assert [view is not None for view in views] == [True, False, False, True]
    assert [(view.shape, view.dtype) for view in views if view is not None] == [((224, 224, 3), np.dtype(np.uint8))] * 2


def test_the_sample_keeps_to_what_the_settings_leave_out(
    photos: Path, tmp_path: Path, settings: Settings, preprocessing: Preprocessing
) -> None:
    folder = some_photos(photos, tmp_path / "archive", 4)
    own = settings.model_copy(update={"exclude": (min(path.name for path in folder.iterdir()),)})

    assert len(draw_views([str(folder)], own, preprocessing)) == 3


def test_what_is_calibrated_already_is_not_calibrated_again(
    photos: Path, int8: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    found = object()
    monkeypatch.setattr(runner.calibration, "find_calibrated_for", lambda _settings: found)
    monkeypatch.setattr(runner.calibration, "ask_with_settings", never)

    assert calibrate_on(int8, [str(photos)]) is found
    with pytest.raises(AssertionError):
        calibrate_on(int8, [str(photos)], anew=True)


def test_too_few_images_are_an_error_of_the_model(photos: Path, tmp_path: Path, int8: Settings) -> None:
    folder = some_photos(photos, tmp_path / "archive", 3)
    damaged = min(folder.iterdir())
    damaged.write_bytes(damaged.read_bytes()[:300])

    with pytest.raises(ModelError, match=f"only 2 of 3 could be read; it takes {MIN_IMAGES}"):
        calibrate_on(int8, [str(folder)])


def test_a_path_that_is_missing_is_an_error_of_the_archive(tmp_path: Path, int8: Settings) -> None:
    with pytest.raises(ArchiveError, match="nowhere"):
        calibrate_on(int8, [str(tmp_path / "nowhere")])


def test_a_decoder_that_crashes_does_not_end_the_command(
    photos: Path, tmp_path: Path, int8: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the process apart, and the command says so."""
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "import archive.failures, pictures.decoding\n"
        "pictures.decoding.decode = lambda *_: os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(planted), os.environ.get("PYTHONPATH", "")]))

    with pytest.raises(ModelError, match="SIGSEGV"):
        calibrate_on(int8, [str(some_photos(photos, tmp_path / "archive", 3))])
