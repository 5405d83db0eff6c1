"""Engines declare themselves: one more file is enough for another one, and no name is taken for another's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import models.engines
from common.errors import ModelError, UsageError
from common.settings import load_settings
from models.engines import ENGINES, check_names, choose_engine, choose_precision, engine_names, precision_names
from models.engines.spec import EngineSpec
from models.resolve import resolve, resolve_recorded
from storage.records import ChunkImage
from worker.labelling import Labeller

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.records import Model

ROOT = Path(__file__).parents[3]


class Brightness:
    """An engine that any machine has: the class with the number of a picture's mean brightness, from 0 to 255."""

    def __init__(self, classes: int) -> None:
        self._classes = classes

    def classify(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        means = batch.mean(axis=(1, 2, 3)).astype(int)
        probabilities: NDArray[np.float32] = np.eye(self._classes, dtype=np.float32)[means]
        return probabilities


def prepare(model: Model, _weights_path: Path | None, cache_dir: Path) -> Path:
    """Prepare something, from which `load` learns which model it is."""
    folder = cache_dir / "brightness"
    folder.mkdir(exist_ok=True)
    (folder / "model.txt").write_text(model.architecture)
    return folder


def load(ready: ReadyModel, _batch_size: int, _threads: int) -> Brightness:
    assert ready.prepared
    assert (ready.prepared / "model.txt").read_text() == ready.model.architecture
    return Brightness(len(ready.categories))


BRIGHTNESS = EngineSpec(
    name="brightness", precisions=("fp32", "fp8"), is_automatic=lambda: False, prepare=prepare, load=load
)


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> EngineSpec:
    """An engine more, in the registry."""
    monkeypatch.setattr(models.engines, "ENGINES", (*ENGINES, BRIGHTNESS))
    return BRIGHTNESS


@pytest.fixture
def on_third(settings: Settings) -> Settings:
    return settings.model_copy(update={"engine": "brightness", "precision": "auto"})


def test_a_third_engine_labels_real_photos(third: EngineSpec, on_third: Settings, photos: Path) -> None:
    """Resolved, prepared and loaded by its declaration alone, through all that a worker does with a chunk."""
    ready = resolve(on_third)
    assert (ready.engine, ready.model.precision) == ("brightness", "fp32")
    images = [ChunkImage(number, str(path)) for number, path in enumerate(sorted(photos.glob("*.jpg")))]

    outcomes = Labeller(ready, on_third).label(images, [str(photos.resolve())])

    assert len(outcomes) == len(images)
    brightest = {outcome.labels[0][0] for outcome in outcomes}
    assert len(brightest) > 10
    assert brightest <= set(ready.categories[:256])


def test_a_run_that_recorded_a_third_engine_is_labelled_with_it(third: EngineSpec, on_third: Settings) -> None:
    ready = resolve(on_third)

    assert resolve_recorded(ready.model, ready.engine, on_third) == ready


def test_settings_take_the_names_that_engines_declare(third: EngineSpec) -> None:
    assert (engine_names()[-1], precision_names()[-1]) == ("brightness", "fp8")
    check_names(load_settings(engine="brightness", precision="fp8"))


def test_automatic_choice_leaves_out_an_engine_that_does_not_ask_for_it(third: EngineSpec) -> None:
    assert choose_engine("auto").name in ("openvino", "torch")


def test_of_engines_that_ask_for_it_the_last_one_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    eager = EngineSpec(name="eager", precisions=("fp32",), is_automatic=lambda: True, load=load)
    monkeypatch.setattr(models.engines, "ENGINES", (*ENGINES, eager))

    assert choose_engine("auto") is eager


def test_an_engine_that_is_not_registered_is_refused_with_those_that_are(on_third: Settings) -> None:
    with pytest.raises(ModelError, match=r"no engine 'brightness'.*openvino or torch"):
        resolve(on_third)


def test_a_precision_that_this_machine_does_not_have_is_refused_with_the_engines_reason() -> None:
    picky = EngineSpec(
        name="picky",
        precisions=("fp32", "bf16"),
        is_automatic=lambda: False,
        why_not=lambda precision: "Not on this CPU." if precision == "bf16" else None,
        load=load,
    )
    assert choose_precision("fp32", picky, Path) == "fp32"
    with pytest.raises(ModelError, match="Not on this CPU"):
        choose_precision("bf16", picky, Path)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"engine": "abacus"}, "NIGHTLABEL_ENGINE = 'abacus': use auto, openvino or torch"),
        ({"precision": "int4"}, "NIGHTLABEL_PRECISION = 'int4': use auto, fp32, bf16, int8 or cascade"),
        ({"engine": ""}, "NIGHTLABEL_ENGINE = '': use auto, openvino or torch"),
    ],
)
def test_a_name_that_there_is_not_is_refused_by_the_name_of_its_setting(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_names(load_settings(**given))

    assert str(caught.value) == f"A setting makes no sense. {sentence}"


def test_both_names_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"NIGHTLABEL_ENGINE = 'a'.*; NIGHTLABEL_PRECISION = 'b'"):
        check_names(load_settings(engine="a", precision="b"))


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "nightlabel", "status"],
        ["-m", "worker.measure", "1"],
        ["-m", "celery", "-A", "worker", "report"],
    ],
    ids=lambda command: command[1],
)
def test_whatever_reads_settings_refuses_an_engine_that_there_is_not(command: list[str], tmp_path: Path) -> None:
    if command[1] == "worker.measure":
        command = ["-c", "import sys; from worker.measure import main; sys.exit(main())"]
    done = subprocess.run(
        [sys.executable, *command],
        env={"PATH": "", "HOME": str(tmp_path), "NIGHTLABEL_ENGINE": "abacus"},
        cwd=ROOT,
        input="{}",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    assert "NIGHTLABEL_ENGINE = 'abacus': use auto, openvino or torch" in done.stderr


@pytest.mark.parametrize(("setting", "names"), [("ENGINE", engine_names()), ("PRECISION", precision_names())])
def test_the_documentation_lists_the_names_that_there_are(setting: str, names: tuple[str, ...]) -> None:
    (row,) = re.findall(rf"^\| `NIGHTLABEL_{setting}` \|.*$", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE)
    _, _, _, default, meaning, _ = row.split("|")

    assert set(re.findall(r"`(\w+)`", default + meaning)) == set(names)


def test_the_schema_of_a_comparison_lists_the_precisions_that_there_are() -> None:
    schema = (ROOT / "report" / "comparison" / "comparison.schema.json").read_text()

    assert list(precision_names()[1:]) in list(_enums(json.loads(schema)))


def _enums(part: object) -> list[list[str]]:
    """Return every list of allowed values in a JSON schema."""
    if isinstance(part, dict):
        own = [part["enum"]] if isinstance(part.get("enum"), list) else []
        return own + [found for value in part.values() for found in _enums(value)]
    if isinstance(part, list):
        return [found for value in part for found in _enums(value)]
    return []


def test_the_names_of_engines_are_known_before_anything_heavy_is_imported() -> None:
    script = "import sys, models.engines; models.engines.engine_names(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)

    assert {"torch", "torchvision", "numpy", "openvino", "pydantic"} & set(done.stdout.split()) == set()
