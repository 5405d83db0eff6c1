"""Where weights are looked for, and in which order."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

import models.weights
from common.errors import ModelError
from common.settings import load_settings
from models.catalogue import find_entry
from models.weights import find_weights, sha256_of, torch_cache_dir

if TYPE_CHECKING:
    from models.catalogue import CatalogueEntry

#: torchvision's name for resnet18's weights in its cache.
OFFICIAL_NAME = "resnet18-f37072fd.pth"


@pytest.fixture
def entry(cache_dir: Path) -> CatalogueEntry:
    return find_entry("resnet18", cache_dir)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The three places where weights may lie, each with a file in it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    found = {
        "option": tmp_path / "mine.pth",
        "folder": tmp_path / "weights" / "resnet18.pth",
        "torch": tmp_path / "torch" / "hub" / "checkpoints" / OFFICIAL_NAME,
    }
    for path in found.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
    return found


def test_the_file_that_is_named_comes_first(entry: CatalogueEntry, places: dict[str, Path]) -> None:
    settings = load_settings(weights=str(places["option"]), weights_dir=places["folder"].parent)

    assert find_weights(entry, settings) == places["option"]


def test_the_weights_folder_comes_before_torchvisions_cache(entry: CatalogueEntry, places: dict[str, Path]) -> None:
    assert find_weights(entry, load_settings(weights_dir=places["folder"].parent)) == places["folder"]


def test_torchvisions_cache_comes_last(entry: CatalogueEntry, places: dict[str, Path]) -> None:
    places["folder"].unlink()

    assert find_weights(entry, load_settings(weights_dir=places["folder"].parent)) == places["torch"]


def test_torchvisions_cache_serves_where_no_folder_is_named(entry: CatalogueEntry, places: dict[str, Path]) -> None:
    assert find_weights(entry, load_settings()) == places["torch"]


def test_weights_that_are_nowhere_are_not_found(entry: CatalogueEntry, places: dict[str, Path]) -> None:
    for path in places.values():
        path.unlink()

    assert find_weights(entry, load_settings(weights_dir=places["folder"].parent)) is None


def test_each_recipe_has_a_file_of_its_own_in_the_weights_folder(cache_dir: Path, places: dict[str, Path]) -> None:
    """Weights of one recipe are never taken for those of another, whose transforms differ."""
    folder = places["folder"].parent
    (folder / "mobilenet_v2.pth").write_bytes(b"of the first recipe")

    assert find_weights(find_entry("mobilenet_v2@IMAGENET1K_V2", cache_dir), load_settings(weights_dir=folder)) is None


def test_a_named_file_that_is_missing_is_not_replaced_by_another(
    entry: CatalogueEntry, places: dict[str, Path]
) -> None:
    places["option"].unlink()

    with pytest.raises(ModelError, match=str(places["option"])):
        find_weights(entry, load_settings(weights=str(places["option"]), weights_dir=places["folder"].parent))


def test_a_tilde_is_the_home_folder(
    entry: CatalogueEntry, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a setting, where no shell has replaced it."""
    monkeypatch.setenv("HOME", str(places["option"].parent))

    assert find_weights(entry, load_settings(weights="~/mine.pth")) == places["option"]


@pytest.mark.parametrize(
    "environment", [{}, {"TORCH_HOME": "/a"}, {"XDG_CACHE_HOME": "/b"}, {"TORCH_HOME": "~/c", "XDG_CACHE_HOME": "/b"}]
)
def test_torchvisions_cache_is_where_torch_says(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)

    assert torch_cache_dir() == Path(torch.hub.get_dir()) / "checkpoints"


def test_the_sha256_is_that_of_the_file(weights_dir: Path) -> None:
    """As `shared/weights/README.md` gives it."""
    expected = "0a90eacd63dd6cc8ef400dc7bf608f490bd93b5e8af799668f61871dfda3c028"

    assert sha256_of(weights_dir / "mobilenet_v2.pth") == expected


def test_weights_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=str(tmp_path / "none.pth")):
        sha256_of(tmp_path / "none.pth")


def test_a_file_that_rests_is_read_once_and_again_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it has the size and the time that it had."""
    path = tmp_path / "mine.pth"
    path.write_bytes(b"some weights")
    os.utime(path, (1, 1))
    monkeypatch.setattr(models.weights, "_RESTED_NS", 0)
    first = sha256_of(path)

    with monkeypatch.context() as unread:
        unread.setattr(hashlib, "sha256", None)
        assert sha256_of(path) == first

    time.sleep(0.05)  # a step of the file system's clock, and more
    path.write_bytes(b"more weights")
    os.utime(path, (1, 1))
    assert sha256_of(path) == hashlib.sha256(b"more weights").hexdigest()


def test_a_file_that_has_just_changed_is_read_again(tmp_path: Path) -> None:
    """A clock's steps are coarse: it may change once more, and have the same times."""
    path = tmp_path / "mine.pth"
    path.write_bytes(b"some weights")

    sha256_of(path)

    assert not any(identity[0] == str(path) for identity in models.weights._hashed)
