"""int8: quantised on the archive's own images, measured on others, refused where it disagrees too often."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import models.engines.openvino
from common.errors import ModelError
from models.catalogue import catalogue_path
from models.engines.openvino import Quantisation, quantise_network
from models.quantise import MIN_IMAGES, divergence, quantised_dir, write_quantised
from models.resolve import quantise_for, resolve, resolve_recorded
from runner.calibration import quantise_on, read_views
from storage.records import ChunkImage
from worker.labelling import Labeller

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from common.settings import Settings
    from models.quantise import Quantised
    from storage.records import Preprocessing

#: Of 125 photos, 63 of which it was calibrated on. The bar for int8 is 95 %.
SAME_AT_LEAST = 119


@pytest.fixture(scope="module")
def int8(settings: Settings) -> Settings:
    """Accept any agreement: 62 photos are too few to measure it to a percent."""
    return settings.model_copy(update={"precision": "int8", "int8_min_agreement": 0.9})


@pytest.fixture(scope="module")
def quantised(int8: Settings, photos: Path) -> Quantised:
    return quantise_on(int8, [str(photos)])


def test_half_of_the_images_calibrate_and_the_others_measure(quantised: Quantised) -> None:
    assert (quantised.calibrated_on, quantised.measured_on) == (62, 63)


def test_the_same_labels_as_fp32(quantised: Quantised, int8: Settings, settings: Settings, photos: Path) -> None:
    images = [ChunkImage(number, str(path)) for number, path in enumerate(sorted(photos.glob("*.jpg")))]

    def best(wanted: Settings) -> dict[int, str]:
        outcomes = Labeller(resolve(wanted), wanted).label(images, [str(photos.resolve())])
        return {outcome.image_id: outcome.labels[0][0] for outcome in outcomes}

    exact, quick = best(settings), best(int8)

    assert sum(exact[number] == quick[number] for number in exact) >= SAME_AT_LEAST


@pytest.mark.filterwarnings("ignore")  # NNCF's and torch's own
def test_of_two_ways_the_one_closer_to_fp32_is_kept(
    int8: Settings, settings: Settings, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fp32 = resolve(settings)
    assert fp32.prepared
    shutil.copytree(fp32.prepared, tmp_path / "models" / fp32.prepared.name)

    def quantise(source: Path, views: NDArray[np.uint8], target: Path, how: Quantisation) -> None:
        if how is not kept:
            views = np.zeros_like(views)  # learnt from black pictures: far from fp32
        quantise_network(source, views, target, how)

    monkeypatch.setattr(models.engines.openvino, "quantise_network", quantise)
    paths = sorted(map(str, photos.glob("*.jpg")))[:MIN_IMAGES]
    views = read_views(paths, settings, fp32.model.preprocessing)
    for kept in Quantisation:
        write_quantised(fp32.model, tmp_path, views)
        folder = quantised_dir(fp32.model, tmp_path)
        assert json.loads((folder / "model.json").read_text())["quantisation"] == kept
        assert sorted(path.name for path in folder.iterdir()) == ["model.bin", "model.json", "model.xml"]


def test_the_distance_of_two_answers_grows_with_their_difference() -> None:
    expected = np.array([[0.9, 0.1, 0.0]], np.float32)
    near, far = np.array([[0.8, 0.2, 0.0]], np.float32), np.array([[0.1, 0.9, 0.0]], np.float32)
    assert divergence(expected, expected) == pytest.approx(0, abs=1e-6)
    assert 0 < divergence(expected, near) < divergence(expected, far)


def test_it_is_quantised_once(quantised: Quantised, int8: Settings) -> None:
    def never(_preprocessing: Preprocessing) -> list[NDArray[np.uint8] | None]:
        raise AssertionError("the archive was sampled again")

    assert quantise_for(int8, never) == quantised


def test_too_little_agreement_is_refused_with_the_figure(quantised: Quantised, int8: Settings, own_cache: Path) -> None:
    strict = int8.model_copy(update={"int8_min_agreement": 1.0, "cache_dir": own_cache})
    folder = shutil.copytree(quantised.folder, own_cache / "models" / quantised.folder.name)
    document = json.loads((folder / "model.json").read_text())
    document["quality"]["agreement"] = 0.9
    (folder / "model.json").write_text(json.dumps(document))

    with pytest.raises(ModelError, match=r"90\.0%.*100\.0%"):
        resolve(strict)


def test_another_calibration_than_the_run_recorded_is_refused(quantised: Quantised, int8: Settings) -> None:
    ready = resolve(int8)
    other = replace(ready.model, calibration="0" * 64)

    with pytest.raises(ModelError, match="Copy the folder"):
        resolve_recorded(other, ready.engine, int8)


def test_a_recorded_calibration_is_found_again(quantised: Quantised, int8: Settings) -> None:
    ready = resolve(int8)

    assert resolve_recorded(ready.model, ready.engine, int8) == ready


def test_without_quantising_the_error_says_how(int8: Settings, settings: Settings, tmp_path: Path) -> None:
    elsewhere = int8.model_copy(update={"cache_dir": tmp_path})
    shutil.copy(catalogue_path(settings.cache_dir), tmp_path)

    with pytest.raises(ModelError, match="nightlabel models prepare resnet18 --int8 PATH"):
        resolve(elsewhere)


def test_too_few_images_are_refused(int8: Settings) -> None:
    view = np.zeros((224, 224, 3), np.uint8)
    few = [view] * (MIN_IMAGES - 1) + [None] * 2  # two that could not be read

    with pytest.raises(ModelError, match=f"only {MIN_IMAGES - 1} of {MIN_IMAGES + 1}"):
        quantise_for(int8, lambda _preprocessing: few, anew=True)


def test_int8_needs_openvino(int8: Settings) -> None:
    with pytest.raises(ModelError, match=r"torch does not run in int8.*--engine openvino, or --precision fp32 or bf16"):
        resolve(int8.model_copy(update={"engine": "torch"}))


def test_probabilities_are_probabilities(quantised: Quantised) -> None:
    from models.engines.openvino import OpenVinoEngine

    rows = OpenVinoEngine(quantised.folder / "model.xml", "int8", 2).classify(np.zeros((2, 224, 224, 3), np.uint8))

    assert np.allclose(rows.sum(axis=1), 1, atol=1e-4)
