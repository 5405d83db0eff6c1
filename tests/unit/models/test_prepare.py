"""Preparing: once, by whoever comes first; whole, or not at all; and only ever with the weights that are meant."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from common.errors import ModelError
from common.settings import load_settings
from models.catalogue import catalogue_path, find_entry, load_catalogue
from models.convert import write_model
from models.engines import load_engine
from models.prepare import prepare
from models.prepared_folder import prepared_dir, prepared_precisions
from models.resolve import model_of, resolve, resolve_recorded
from tests.processes import answer_of, start_python

if TYPE_CHECKING:
    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.records import Model

#: The model that is prepared the fastest, in 6 s, most of which are torch's import.
SMALL = "squeezenet1_1"


@pytest.fixture(scope="module")
def small(cache_dir: Path) -> Model:
    return model_of(find_entry(SMALL, cache_dir), "random", "fp32")


_PREPARE_AND_COUNT = """
import json, sys
from pathlib import Path
import models.prepare
from models.prepared_folder import model_from_json

begun = []
run_apart = models.prepare.run_apart

def run_apart_and_count(step, *arguments, **options):
    begun.append(step)
    return run_apart(step, *arguments, **options)

models.prepare.run_apart = run_apart_and_count
model = model_from_json(json.loads(sys.argv[2]))
print(json.dumps([str(models.prepare.prepare(model, None, Path(sys.argv[1]))), begun]))
"""


def as_json(model: Model) -> str:
    return json.dumps(asdict(model))


@pytest.fixture(scope="module")
def two_at_once(small: Model, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, list[str]]]:
    """What two processes return that prepare the same model in an empty cache: its folder, and what each began."""
    cache_dir = tmp_path_factory.mktemp("cache")
    both = [start_python(_PREPARE_AND_COUNT, str(cache_dir), as_json(small)) for _ in range(2)]
    return [answer_of(process) for process in both]


@pytest.fixture(scope="module")
def small_folder(two_at_once: list[tuple[str, list[str]]]) -> Path:
    """A small model, prepared once; it is copied before anything is done to it."""
    return Path(two_at_once[0][0])


@pytest.fixture
def prepared(small_folder: Path, tmp_path: Path) -> Path:
    """The folder of a prepared model, in a cache of the test's own."""
    folder = tmp_path / "models" / small_folder.name
    shutil.copytree(small_folder, folder)
    return folder


def test_two_that_prepare_at_once_get_one_model(two_at_once: list[tuple[str, list[str]]]) -> None:
    """Both succeed, with the same folder, and nothing half-made is left beside it."""
    (one, _), (other, _) = two_at_once

    name = os.path.basename(one)
    assert (other, sorted(os.listdir(os.path.dirname(one)))) == (one, [name, f"{name}.lock"])


def test_of_two_that_prepare_at_once_one_waits(two_at_once: list[tuple[str, list[str]]]) -> None:
    """And then takes what the other made: never do both write."""
    assert [step for _, begun in two_at_once for step in begun] == ["models.convert"]


def test_a_prepared_model_is_not_prepared_again(small: Model, prepared: Path, tmp_path: Path) -> None:
    before = os.stat(prepared / "model.bin").st_ino

    prepare(small, None, tmp_path)

    assert os.stat(prepared / "model.bin").st_ino == before


def test_a_prepared_model_with_one_damaged_byte_is_prepared_anew(
    small: Model, small_folder: Path, prepared: Path, tmp_path: Path
) -> None:
    """One byte would give other labels."""
    _damage(prepared / "model.bin")

    prepare(small, None, tmp_path)

    assert (prepared / "model.bin").read_bytes() == (small_folder / "model.bin").read_bytes()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that were begun in a process apart, instead of beginning them."""
    steps: list[str] = []
    monkeypatch.setattr("models.prepare.run_apart", lambda step, *_, **__: steps.append(step))
    return steps


@pytest.mark.parametrize("name", ["model.bin", "model.xml"])
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_either_file_of_a_prepared_model_is_checked(
    name: str, damage: str, small: Model, prepared: Path, tmp_path: Path, begun: list[str]
) -> None:
    if damage == "changed":
        _damage(prepared / name)
    else:
        (prepared / name).unlink()

    prepare(small, None, tmp_path)

    assert begun == ["models.convert"]


def test_a_prepared_model_that_was_made_of_another_one_is_prepared_anew(
    small: Model, prepared: Path, tmp_path: Path, begun: list[str]
) -> None:
    """A folder that was copied to another's name is whole, and gives the labels of another model."""
    record = json.loads((prepared / "model.json").read_text())
    record["model"]["weights"] = "0" * 64
    (prepared / "model.json").write_text(json.dumps(record))

    prepare(small, None, tmp_path)

    assert begun == ["models.convert"]


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"sha256": {}}', '{"sha256": null}', "\0"], ids=repr)
def test_a_prepared_model_without_its_record_is_prepared_anew(
    record: str, small: Model, prepared: Path, tmp_path: Path, begun: list[str]
) -> None:
    """`model.json` is written last: what is not in it was not finished, or was damaged since."""
    (prepared / "model.json").write_text(record)

    prepare(small, None, tmp_path)

    assert begun == ["models.convert"]


@pytest.fixture
def quick_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files instead of a network: for tests of what happens around the conversion."""

    def convert(_model: Model, _weights: Path | None, target: Path) -> None:
        target.write_text("network")
        target.with_suffix(".bin").write_text("its weights")

    monkeypatch.setattr("models.engines.openvino.convert", convert)


def test_what_a_killed_process_left_is_not_in_the_way(small: Model, tmp_path: Path, quick_conversion: None) -> None:
    """In a container the same process numbers come again: one that was killed must not lock its successors out."""
    folder = prepared_dir(small, tmp_path)
    folder.with_suffix(f".{os.getpid()}").mkdir(parents=True)

    write_model(small, None, tmp_path)

    assert os.listdir(folder.parent) == [folder.name]


def test_what_is_not_whole_never_has_the_name_of_a_prepared_model(
    small: Model, tmp_path: Path, quick_conversion: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up while the record is written leaves nothing that could be taken for a model."""
    (tmp_path / "models").mkdir()

    def write_text(path: Path, text: str) -> int:
        if path.name == "model.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return path.write_bytes(text.encode())

    monkeypatch.setattr("pathlib.Path.write_text", write_text)

    with pytest.raises(OSError, match="No space"):
        write_model(small, None, tmp_path)
    assert os.listdir(tmp_path / "models") == []


@pytest.fixture
def only_prepared(resnet18: ReadyModel, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A machine that has resnet18 prepared, and no longer its weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    shutil.copy(catalogue_path(cache_dir), catalogue_path(tmp_path))
    assert resnet18.prepared
    shutil.copytree(resnet18.prepared, tmp_path / "models" / resnet18.prepared.name)
    return load_settings(cache_dir=tmp_path, precision="fp32")


def test_a_prepared_model_serves_a_recorded_run_without_its_weights(
    resnet18: ReadyModel, only_prepared: Settings
) -> None:
    ready = resolve_recorded(resnet18.model, "openvino", only_prepared)

    assert (ready.model, ready.weights_path) == (resnet18.model, None)


def test_a_damaged_model_without_its_weights_is_refused(resnet18: ReadyModel, only_prepared: Settings) -> None:
    """It is not prepared anew with random weights under the trained ones' name."""
    assert resnet18.prepared
    _damage(only_prepared.cache_dir / "models" / resnet18.prepared.name / "model.bin")

    with pytest.raises(ModelError):
        resolve_recorded(resnet18.model, "openvino", only_prepared)


def test_torch_without_the_recorded_weights_is_refused(resnet18: ReadyModel, only_prepared: Settings) -> None:
    """What is prepared serves OpenVINO alone: torch must not make up random weights instead."""
    with pytest.raises(ModelError):
        load_engine(resolve_recorded(resnet18.model, "torch", only_prepared), batch_size=1)


def test_the_weights_of_what_is_prepared_are_known(small_folder: Path) -> None:
    entry = (SMALL, "IMAGENET1K_V1")

    assert prepared_precisions(*entry, "random", small_folder.parents[1]) == ["fp32", "bf16"]
    assert prepared_precisions(*entry, "0" * 64, small_folder.parents[1]) == []


def test_a_model_is_prepared_from_a_folder_with_a_package_called_worker(
    small: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's `worker` in the current folder does not stand in for ours."""
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker" / "__init__.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)

    load_catalogue.cache_clear()
    entries = load_catalogue(tmp_path / "cache")
    load_catalogue.cache_clear()

    assert SMALL in entries


def test_a_catalogue_with_one_changed_label_is_written_anew(cache_dir: Path, tmp_path: Path) -> None:
    right = find_entry("resnet18", cache_dir).categories
    text = catalogue_path(cache_dir).read_text()
    catalogue_path(tmp_path).write_text(text.replace('"tiger shark"', '"goldfish, too"'))
    load_catalogue.cache_clear()

    assert find_entry("resnet18", tmp_path).categories == right
    load_catalogue.cache_clear()


def test_random_weights_are_recorded_as_random(settings: Settings) -> None:
    """So that every report says so."""
    asked = settings.model_copy(update={"weights": "random", "model": SMALL, "engine": "torch"})

    assert resolve(asked).model.is_random


def _damage(path: Path) -> None:
    """Change one byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
