"""The catalogue of models, and what must hold of a model and its weights before anything is labelled with them."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision
from torchvision.models import get_model_weights, list_models

from common.errors import ModelError
from common.settings import load_settings
from models.catalogue import catalogue_path, find_entry, load_catalogue
from models.engines import load_engine
from models.engines.reference import build_reference, preprocessing_of, recipe_of
from models.prepared_folder import prepared_dir
from models.resolve import resolve, resolve_recorded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel

CLASSIFIERS = 80
#: A proxy that refuses at once: a download fails here as it does on a machine without internet access.
NO_NETWORK = "http://127.0.0.1:9"


def test_every_classification_model_of_torchvision_is_in_the_catalogue(cache_dir: Path) -> None:
    names = {entry.architecture for entry in load_catalogue(cache_dir).values()}

    assert (len(names), names) == (CLASSIFIERS, set(list_models(module=torchvision.models)))


def test_every_recipe_that_has_labels_is_in_the_catalogue(cache_dir: Path) -> None:
    """All weights that torchvision lists, except VGG's features, which classify nothing."""
    listed = {
        (name, recipe.name)
        for name in list_models(module=torchvision.models)
        for recipe in get_model_weights(name)
        if recipe.meta["categories"]
    }

    assert {(entry.architecture, entry.recipe) for entry in load_catalogue(cache_dir).values()} == listed


def test_transforms_and_labels_in_the_catalogue_are_torchvisions(cache_dir: Path) -> None:
    differing = [
        entry.name
        for entry in load_catalogue(cache_dir).values()
        for recipe in [recipe_of(entry.architecture, entry.recipe)]
        if entry.preprocessing != preprocessing_of(recipe) or list(entry.categories) != recipe.meta["categories"]
    ]

    assert differing == []


def test_two_recipes_of_one_model_keep_their_own_transforms(cache_dir: Path) -> None:
    """It resizes to 256 for MobileNetV2's first weights, to 232 for the second."""
    sizes = [
        find_entry(name, cache_dir).preprocessing.resize_size for name in ("mobilenet_v2", "mobilenet_v2@IMAGENET1K_V2")
    ]

    assert sizes == [256, 232]


def test_a_name_without_a_recipe_means_the_first(cache_dir: Path) -> None:
    assert find_entry("mobilenet_v2", cache_dir) == find_entry("mobilenet_v2@IMAGENET1K_V1", cache_dir)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("resnet81", "resnet18"), ("mobilenetv2", "mobilenet_v2"), ("efficientnet-b0", "efficientnet_b0")],
)
def test_an_unknown_name_is_met_with_near_ones(wrong: str, right: str, cache_dir: Path) -> None:
    with pytest.raises(ModelError, match=rf"{wrong}.*Did you mean.*{right}"):
        find_entry(wrong, cache_dir)


@pytest.mark.parametrize("name", ["", "@", "resnet18@IMAGENET1K_V7", "RESNET-FIFTY-NINE"])
def test_what_is_no_model_is_refused(name: str, cache_dir: Path) -> None:
    with pytest.raises(ModelError):
        find_entry(name, cache_dir)


def test_a_model_error_ends_the_command_with_status_3() -> None:
    assert ModelError.exit_status == 3


@pytest.fixture
def fresh_cache(cache_dir: Path, tmp_path: Path) -> Path:
    """A cache with the catalogue and no prepared model."""
    load_catalogue(cache_dir)
    folder = tmp_path / "cache"
    folder.mkdir()
    shutil.copy(catalogue_path(cache_dir), catalogue_path(folder))
    return folder


def test_missing_weights_end_with_what_to_put_where(
    fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of the file to put there, the option, and torchvision's own name and place for it."""
    for variable, value in (("TORCH_HOME", str(tmp_path)), ("https_proxy", NO_NETWORK), ("http_proxy", NO_NETWORK)):
        monkeypatch.setenv(variable, value)
    settings = load_settings(model="resnet50", weights_dir=tmp_path / "weights", cache_dir=fresh_cache)

    with pytest.raises(ModelError) as caught:
        resolve(settings)

    needed = (
        f"{tmp_path}/weights/resnet50.pth",
        "--weights FILE",
        "resnet50-0676ba61.pth",
        f"{tmp_path}/hub/checkpoints",
    )
    assert [part for part in needed if part not in str(caught.value)] == []


@pytest.fixture
def damaged(weights_dir: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Make `weights.pth`: resnet18's trained weights, with something wrong."""

    def make(damage: str) -> Path:
        data = bytearray((weights_dir / "resnet18.pth").read_bytes())
        path = tmp_path / "weights.pth"
        middle = len(data) // 2
        if damage == "one byte changed":
            data[middle] ^= 0xFF
        elif damage == "cut in half":
            del data[middle:]
        elif damage == "a text":
            data = bytearray(b"<html>404 Not Found</html>\n")
        elif damage == "empty":
            data.clear()
        path.write_bytes(data)
        if damage == "another model's":
            shutil.copy(weights_dir / "mobilenet_v2.pth", path)
        elif damage == "no state_dict":
            torch.save([1, 2, 3], path)
        elif damage == "not a number":
            state = torch.load(weights_dir / "resnet18.pth", weights_only=True)
            state["fc.bias"][7] = torch.nan
            torch.save(state, path)
        return path

    return make


@pytest.mark.parametrize("damage", ["cut in half", "empty", "another model's", "no state_dict", "not a number"])
def test_damaged_weights_are_refused_by_name(damage: str, damaged: Callable[[str], Path], resnet18: ReadyModel) -> None:
    path = damaged(damage)

    with pytest.raises(ModelError, match=str(path)):
        build_reference(resnet18.model, path)


@pytest.mark.parametrize("damage", ["one byte changed", "a text"])
def test_damaged_weights_end_a_command_before_anything_is_prepared(
    damage: str, damaged: Callable[[str], Path], fresh_cache: Path
) -> None:
    """One byte is enough: it would give other labels, and nobody would know."""
    path = damaged(damage)

    with pytest.raises(ModelError, match=str(path)):
        resolve(load_settings(weights=str(path), cache_dir=fresh_cache, engine="openvino", precision="fp32"))


def test_the_weights_that_were_loaded_are_known_by_their_sha256(resnet18: ReadyModel) -> None:
    """As `shared/weights/README.md` gives it."""
    assert resnet18.model.weights == "aa1dea68e26fa41196f24c724489ed56c09f11df6b4b1ed12c36868f6b1de386"


@pytest.mark.parametrize("change", [{"precision": "bf16"}, {"weights": "0" * 64}, {"recipe": "V2"}])
def test_a_model_of_which_anything_differs_is_another_model(change: dict[str, str], resnet18: ReadyModel) -> None:
    assert replace(resnet18.model, **change).key != resnet18.model.key  # type: ignore[arg-type]  # fields that are str


def test_other_transforms_make_another_model(resnet18: ReadyModel) -> None:
    transforms = replace(resnet18.model.preprocessing, resize_size=232)

    assert replace(resnet18.model, preprocessing=transforms).key != resnet18.model.key


def test_both_precisions_share_what_is_prepared(resnet18: ReadyModel, cache_dir: Path) -> None:
    folders = {prepared_dir(replace(resnet18.model, precision=name), cache_dir) for name in ("fp32", "bf16")}

    assert folders == {resnet18.prepared}


def test_a_recorded_model_is_resolved_to_the_one_that_was_recorded(resnet18: ReadyModel, settings: Settings) -> None:
    assert asdict(resolve_recorded(resnet18.model, "openvino", settings)) == asdict(resnet18)


def test_other_weights_than_a_run_recorded_are_refused(
    resnet18: ReadyModel, damaged: Callable[[str], Path], fresh_cache: Path
) -> None:
    """A worker whose file differs in one byte says which file, and what the run has recorded."""
    path = damaged("one byte changed")
    settings = load_settings(weights=str(path), cache_dir=fresh_cache)

    with pytest.raises(ModelError, match=rf"{resnet18.model.weights}.*{path}"):
        resolve_recorded(resnet18.model, "openvino", settings)


def test_a_recorded_model_is_refused_where_its_weights_are_missing(
    resnet18: ReadyModel, fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    with pytest.raises(ModelError, match=r"not on this\s+machine"):
        resolve_recorded(resnet18.model, "openvino", load_settings(cache_dir=fresh_cache))


def test_a_recorded_engine_that_there_is_not_is_refused_with_those_that_there_are(
    resnet18: ReadyModel, settings: Settings
) -> None:
    """By a worker of another version than the one that recorded it: never is OpenVINO taken for it."""
    with pytest.raises(ModelError, match=r"no engine 'abacus'.*openvino or torch"):
        resolve_recorded(resnet18.model, "abacus", settings)


def test_a_recorded_precision_that_its_engine_does_not_have_is_refused(
    resnet18: ReadyModel, settings: Settings
) -> None:
    with pytest.raises(ModelError, match=r"torch does not run in int8.*--engine openvino.*--precision fp32 or bf16"):
        resolve_recorded(replace(resnet18.model, precision="int8"), "torch", settings)


def test_a_model_that_was_resolved_for_an_unknown_engine_is_not_loaded(resnet18: ReadyModel) -> None:
    with pytest.raises(ModelError, match="no engine 'abacus'"):
        load_engine(replace(resnet18, engine="abacus"), batch_size=1)
