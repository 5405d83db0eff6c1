"""int8 and cascade: calibrated on an archive's images, measured on others, refused where they disagree too often."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import models.int8_candidates
from common.errors import ModelError
from models.calibrated import MIN_IMAGES, calibrated_dir
from models.catalogue import catalogue_path
from models.engines.openvino_int8 import Quantisation, quantise_network
from models.int8_candidates import Candidate, closest, divergence
from models.resolve import calibrate_for, resolve, resolve_recorded
from models.write_calibrated import write_calibrated
from runner.calibration import calibrate_on, read_views
from storage.records import ChunkImage
from worker.labelling import Labeller

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from common.settings import Settings
    from models.calibrated import Calibrated
    from storage.records import Outcome, Preprocessing

#: Of 125 photos, 63 of which it was calibrated on. The bar for int8 is 95 %.
SAME_AT_LEAST = 119


@pytest.fixture(scope="module")
def int8(settings: Settings) -> Settings:
    """Accept any agreement: 62 photos are too few to measure it to a percent."""
    return settings.model_copy(update={"precision": "int8", "int8_min_agreement": 0.9})


@pytest.fixture(scope="module")
def cascade(settings: Settings, calibrated: Calibrated) -> Settings:
    """The same as a cascade, made with it."""
    return settings.model_copy(update={"precision": "cascade", "cascade_min_agreement": 0.9})


@pytest.fixture(scope="module")
def calibrated(int8: Settings, photos: Path) -> Calibrated:
    return calibrate_on(int8, [str(photos)])


def test_half_of_the_images_calibrate_and_the_others_measure(calibrated: Calibrated) -> None:
    assert (calibrated.quality.calibrated_on, calibrated.quality.measured_on) == (62, 63)


def test_the_same_labels_as_fp32(calibrated: Calibrated, int8: Settings, settings: Settings, photos: Path) -> None:
    images = [ChunkImage(number, str(path)) for number, path in enumerate(sorted(photos.glob("*.jpg")))]

    def best(wanted: Settings) -> dict[int, str]:
        outcomes = Labeller(resolve(wanted), wanted).label(images, [str(photos.resolve())])
        return {outcome.image_id: outcome.labels[0][0] for outcome in outcomes}

    exact, quick = best(settings), best(int8)

    assert sum(exact[number] == quick[number] for number in exact) >= SAME_AT_LEAST


@pytest.mark.filterwarnings("ignore")  # NNCF's and torch's own
def test_of_all_ways_the_one_closest_to_fp32_is_kept(
    settings: Settings, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fp32 = resolve(settings)
    assert fp32.prepared
    shutil.copytree(fp32.prepared, tmp_path / "models" / fp32.prepared.name)
    tried = []
    made: dict[bool, Path] = {}

    def quantise(
        source: Path, views: NDArray[np.uint8], target: Path, how: Quantisation, kept: Collection[str]
    ) -> None:
        """Quantise twice in all, well and badly: each way takes ten seconds."""
        tried.append((how, len(kept)))
        is_best = how is Quantisation.SAFE_RANGE and not kept
        if is_best in made:
            shutil.copy(made[is_best], target)
            shutil.copy(made[is_best].with_suffix(".bin"), target.with_suffix(".bin"))
            return
        views = views[:8] if is_best else np.zeros_like(views[:8])  # black pictures: far from fp32
        quantise_network(source, views, target, how, kept)
        made[is_best] = target

    monkeypatch.setattr(models.int8_candidates, "quantise_network", quantise)
    monkeypatch.setattr(models.int8_candidates, "time_image", lambda *_: 1.0)  # whatever this machine is busy with
    paths = sorted(map(str, photos.glob("*.jpg")))[:MIN_IMAGES]
    views = read_views(paths, settings, fp32.model.preprocessing)
    int8 = replace(fp32.model, precision="int8")

    write_calibrated([int8], tmp_path, views, full="fp32")

    folder = calibrated_dir(int8, tmp_path, "fp32")
    assert json.loads((folder / "model.json").read_text())["quantisation"].startswith("safe range")
    assert sorted(path.name for path in folder.iterdir()) == ["model.bin", "model.json", "model.xml"]
    assert [how for how, kept in tried if not kept] == list(Quantisation)
    refined = [(how, kept) for how, kept in tried if kept]
    assert refined == [(Quantisation.SAFE_RANGE, count) for count in (4, 5, 5, 5)]  # a group of ResNet-18's layers each


def test_what_takes_much_longer_is_not_kept_for_int8_however_close_it_is() -> None:
    quick = Candidate(
        name="q", path=Path(), rest="fp32", found=np.zeros((1, 2), np.float32), distance=0.02, image_ms=10.0
    )
    closer = replace(quick, name="closer", distance=0.01, image_ms=12.2)  # such two were measured
    slow = replace(quick, name="slow", distance=0.001, image_ms=14.0)

    assert closest([quick, closer, slow]) is closer


def test_the_distance_of_two_answers_grows_with_their_difference() -> None:
    expected = np.array([[0.9, 0.1, 0.0]], np.float32)
    near, far = np.array([[0.8, 0.2, 0.0]], np.float32), np.array([[0.1, 0.9, 0.0]], np.float32)
    assert divergence(expected, expected) == pytest.approx(0, abs=1e-6)
    assert 0 < divergence(expected, near) < divergence(expected, far)


def test_it_is_quantised_once(calibrated: Calibrated, int8: Settings) -> None:
    def never(_preprocessing: Preprocessing) -> list[NDArray[np.uint8] | None]:
        raise AssertionError("the archive was sampled again")

    assert calibrate_for(int8, never) == calibrated


def test_too_little_agreement_is_refused_with_the_figure(
    calibrated: Calibrated, int8: Settings, own_cache: Path
) -> None:
    strict = int8.model_copy(update={"int8_min_agreement": 1.0, "cache_dir": own_cache})
    folder = shutil.copytree(calibrated.folder, own_cache / "models" / calibrated.folder.name)
    document = json.loads((folder / "model.json").read_text())
    document["quality"]["agreement"] = 0.9
    (folder / "model.json").write_text(json.dumps(document))

    with pytest.raises(ModelError, match=r"90\.0%.*100\.0%"):
        resolve(strict)


def test_another_calibration_than_the_run_recorded_is_refused(calibrated: Calibrated, int8: Settings) -> None:
    ready = resolve(int8)
    other = replace(ready.model, calibration="0" * 64)

    with pytest.raises(ModelError, match="Copy the folder"):
        resolve_recorded(other, ready.engine, int8)


def test_a_recorded_calibration_is_found_again(calibrated: Calibrated, int8: Settings) -> None:
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
        calibrate_for(int8, lambda _preprocessing: few, anew=True)


def test_int8_needs_openvino(int8: Settings) -> None:
    with pytest.raises(ModelError, match=r"torch does not run in int8.*--engine openvino, or --precision fp32 or bf16"):
        resolve(int8.model_copy(update={"engine": "torch"}))


def test_probabilities_are_probabilities(calibrated: Calibrated) -> None:
    from models.engines.openvino import OpenVinoEngine

    rows = OpenVinoEngine(calibrated.folder / "model.xml", calibrated.rest, 2).classify(
        np.zeros((2, 224, 224, 3), np.uint8)
    )

    assert np.allclose(rows.sum(axis=1), 1, atol=1e-4)


def label(wanted: Settings, photos: Path, numbers: Sequence[int]) -> dict[int, Outcome]:
    """Return what a warm model says of these photos, labelled as one chunk in this order."""
    paths = sorted(photos.glob("*.jpg"))
    images = [ChunkImage(number, str(paths[number])) for number in numbers]
    return {one.image_id: one for one in Labeller(resolve(wanted), wanted).label(images, [str(photos.resolve())])}


def test_a_cascade_gives_the_labels_of_the_full_model_and_says_which_answered(
    cascade: Settings, int8: Settings, settings: Settings, photos: Path
) -> None:
    numbers = range(125)
    by_cascade, by_int8 = label(cascade, photos, numbers), label(int8, photos, numbers)
    as_usual = settings.model_copy(update={"precision": "auto"})
    full, by_full = resolve(as_usual).model.precision, label(as_usual, photos, numbers)

    assert sum(by_cascade[n].labels[0][0] == by_full[n].labels[0][0] for n in numbers) >= 124
    answered = {n: by_cascade[n].computed_in for n in numbers}
    assert set(answered.values()) == {"int8", full}
    unsure = [n for n in numbers if answered[n] == full]
    assert 0 < len(unsure) < 60
    assert all(by_cascade[n].labels == by_full[n].labels for n in unsure)  # to the last bit
    assert all(by_cascade[n].kind_score == by_full[n].kind_score for n in unsure)
    assert {one.computed_in for one in (*by_int8.values(), *by_full.values())} == {None}


def test_an_image_gets_the_same_of_a_cascade_whatever_stands_beside_it(cascade: Settings, photos: Path) -> None:
    together = label(cascade, photos, range(40))
    otherwise = label(cascade, photos, [*range(39, 20, -1), *range(0, 40, 3)])
    alone = label(cascade, photos, [7])[7]

    for number, outcome in otherwise.items():
        assert (outcome.labels, outcome.computed_in) == (together[number].labels, together[number].computed_in)
    assert (alone.labels, alone.computed_in) == (together[7].labels, together[7].computed_in)


def test_both_figures_of_a_cascade_are_kept_and_shown(cascade: Settings, photos: Path) -> None:
    found = calibrate_on(cascade, [str(photos)])
    assert found.cascade
    assert found.cascade.set_agreement >= 0.998
    assert (found.quality.calibrated_on, found.quality.measured_on) == (62, 63)
    said = str(found)
    assert f"{found.quality.agreement:.1%} of 63 others" in said
    assert f"{found.cascade.set_agreement:.1%} of the calibration images" in said


def test_a_cascade_that_disagrees_too_often_is_refused(cascade: Settings, own_cache: Path) -> None:
    ready = resolve(cascade)
    assert ready.prepared
    folder = shutil.copytree(ready.prepared, own_cache / "models" / ready.prepared.name, dirs_exist_ok=True)
    document = json.loads((folder / "model.json").read_text())
    document["quality"]["agreement"] = 0.97
    (folder / "model.json").write_text(json.dumps(document))
    strict = cascade.model_copy(update={"cascade_min_agreement": 0.99, "cache_dir": own_cache})

    with pytest.raises(ModelError, match=r"97\.0%.*NIGHTLABEL_CASCADE_MIN_AGREEMENT asks for 99\.0%"):
        resolve(strict)


def test_a_cascade_with_another_margin_is_another_model(cascade: Settings, own_cache: Path) -> None:
    """Else a worker on another host would give other labels under the same name."""
    ready = resolve(cascade)
    assert ready.prepared
    assert resolve_recorded(ready.model, ready.engine, cascade) == ready
    folder = shutil.copytree(ready.prepared, own_cache / "models" / ready.prepared.name, dirs_exist_ok=True)
    document = json.loads((folder / "model.json").read_text())
    document["cascade"]["least_margin"] += 0.1
    (folder / "model.json").write_text(json.dumps(document))
    elsewhere = cascade.model_copy(update={"cache_dir": own_cache})

    assert resolve(elsewhere).model.key != ready.model.key
    with pytest.raises(ModelError, match=r"cascade model of this calibration.*Copy the folder"):
        resolve_recorded(ready.model, ready.engine, elsewhere)


def test_an_int8_model_of_an_earlier_version_is_still_the_same(int8: Settings, own_cache: Path) -> None:
    """Its folder says nothing of what came since; its calibration is the hash of its network, as runs recorded it."""
    ready = resolve(int8)
    assert ready.prepared
    folder = shutil.copytree(ready.prepared, own_cache / "models" / ready.prepared.name, dirs_exist_ok=True)
    document = json.loads((folder / "model.json").read_text())
    for name in ("rest", "cascade"):
        document.pop(name)
    for name in ("sure_on", "sure_agreement"):
        document["quality"].pop(name)
    (folder / "model.json").write_text(json.dumps(document))

    found = resolve(int8.model_copy(update={"cache_dir": own_cache}))

    assert found.model.calibration == document["sha256"]["model.bin"]
