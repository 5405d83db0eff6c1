"""Engines: one contract, and the labels of torchvision, on real photos with real weights."""

from __future__ import annotations

import csv
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_model

from common.settings import load_settings
from models.engines import load_engine
from models.engines.openvino import cpu_has_bf16
from models.engines.reference import recipe_of
from models.resolve import resolve
from pictures.decoding import decode
from tests.processes import answer_of, in_a_process, start_python

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from common.settings import Settings
    from models.ready_model import ReadyModel

BATCH_SIZE = 8
#: What the trained weights reach with torchvision itself, less the two photos that rounding may turn. Source:
#: `shared/weights/README.md`: 101 and 114 of 125 for resnet18, 103 and 116 for mobilenet_v2.
LEAST_RIGHT = {"resnet18": (100, 113), "mobilenet_v2": (102, 115)}
#: Photos, of 125, that may get another best label than from torchvision in fp32.
MAY_DIFFER = 2

needs_bf16 = pytest.mark.skipif(not cpu_has_bf16(), reason="this CPU has no bf16")
precisions = pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16)])
engines = pytest.mark.parametrize("name", ["openvino", "torch"])
architectures = pytest.mark.parametrize("architecture", LEAST_RIGHT)


@pytest.fixture(scope="module")
def ready(settings: Settings) -> Callable[..., ReadyModel]:
    """Resolve a model: its architecture, its engine and its precision."""

    def resolve_one(architecture: str = "resnet18", engine: str = "openvino", precision: str = "fp32") -> ReadyModel:
        wanted = {"model": architecture, "engine": engine, "precision": precision}
        return resolve(load_settings(**(settings.model_dump() | wanted)))

    return resolve_one


@pytest.fixture(scope="module")
def truth(photos: Path) -> NDArray[np.int64]:
    """The class of each photo, as people see it, in the order of their names."""
    with (photos / "truth.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
    return np.array([int(row["class_index"]) for row in rows])


@pytest.fixture(scope="module")
def views(photos: Path, resnet18: ReadyModel) -> NDArray[np.uint8]:
    """Each photo as a model sees it, `[125, 224, 224, 3]`: resnet18 and mobilenet_v2 share their transforms."""
    return np.stack(
        [decode(path.read_bytes(), resnet18.model.preprocessing, 10**8).pixels for path in sorted(photos.glob("*.jpg"))]
    )


@pytest.fixture(scope="module")
def torchvision_best(photos: Path, settings: Settings) -> NDArray[np.int64]:
    """Torchvision's own best class of each photo: its decoder, its transforms, its model, in fp32; nothing of ours."""
    assert settings.weights_dir
    torch.set_num_threads(1)  # as many as our engines take: threads that wait for each other take longer
    network = get_model("resnet18", weights=None).eval()
    network.load_state_dict(torch.load(settings.weights_dir / "resnet18.pth", weights_only=True))
    transforms = recipe_of("resnet18", "IMAGENET1K_V1").transforms()
    best = []
    for path in sorted(photos.glob("*.jpg")):
        with Image.open(path) as picture, torch.inference_mode():
            best.append(int(network(transforms(picture.convert("RGB"))[None]).argmax()))
    return np.array(best)


def classify_all(ready: ReadyModel, views: NDArray[np.uint8]) -> NDArray[np.float32]:
    engine = load_engine(ready, BATCH_SIZE)
    return np.concatenate([engine.classify(views[at : at + BATCH_SIZE]) for at in range(0, len(views), BATCH_SIZE)])


@pytest.fixture(scope="module")
def on_openvino(ready: Callable[..., ReadyModel], views: NDArray[np.uint8]) -> Callable[[str], NDArray[np.float32]]:
    """Classify all photos with an architecture in fp32, once for all tests."""
    return cache(lambda architecture: classify_all(ready(architecture), views))


def test_openvino_gives_torchvisions_labels(
    on_openvino: Callable[[str], NDArray[np.float32]], torchvision_best: NDArray[np.int64]
) -> None:
    """From the file's bytes on: our decoder, our crop, the converted model."""
    differing = np.count_nonzero(on_openvino("resnet18").argmax(axis=1) != torchvision_best)

    assert differing <= MAY_DIFFER


@needs_bf16
def test_openvino_in_bf16_gives_torchvisions_labels(
    ready: Callable[..., ReadyModel], views: NDArray[np.uint8], torchvision_best: NDArray[np.int64]
) -> None:
    best = classify_all(ready(precision="bf16"), views).argmax(axis=1)

    assert np.count_nonzero(best != torchvision_best) <= MAY_DIFFER


def test_torch_gives_torchvisions_labels(
    ready: Callable[..., ReadyModel], views: NDArray[np.uint8], torchvision_best: NDArray[np.int64]
) -> None:
    best = classify_all(ready(engine="torch"), views).argmax(axis=1)

    assert np.count_nonzero(best != torchvision_best) <= MAY_DIFFER


def places_of(truth: NDArray[np.int64], probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return at which place, from 0, each photo's true class is among its labels."""
    of_truth = np.take_along_axis(probabilities, truth[:, None], axis=1)
    return np.asarray(np.count_nonzero(probabilities > of_truth, axis=1))


@architectures
def test_the_first_label_is_right_as_often_as_torchvisions(
    architecture: str, on_openvino: Callable[[str], NDArray[np.float32]], truth: NDArray[np.int64]
) -> None:
    right = np.count_nonzero(places_of(truth, on_openvino(architecture)) == 0)

    assert right >= LEAST_RIGHT[architecture][0]


@architectures
def test_the_first_three_labels_are_right_as_often_as_torchvisions(
    architecture: str, on_openvino: Callable[[str], NDArray[np.float32]], truth: NDArray[np.int64]
) -> None:
    right = np.count_nonzero(places_of(truth, on_openvino(architecture)) < 3)

    assert right >= LEAST_RIGHT[architecture][1]


@engines
@pytest.mark.parametrize("count", [1, 3, BATCH_SIZE])
def test_every_engine_returns_a_row_for_each_image(
    name: str, count: int, ready: Callable[..., ReadyModel], views: NDArray[np.uint8]
) -> None:
    """The contract: float32 `[N, classes]`, for any N up to the batch size."""
    probabilities = load_engine(ready(engine=name), BATCH_SIZE).classify(views[:count])

    assert (probabilities.shape, probabilities.dtype.name) == ((count, 1000), "float32")


@engines
@precisions
def test_probabilities_sum_to_one(
    name: str, precision: str, ready: Callable[..., ReadyModel], views: NDArray[np.uint8]
) -> None:
    """Within what the precision can tell apart."""
    probabilities = load_engine(ready(engine=name, precision=precision), BATCH_SIZE).classify(views[:BATCH_SIZE])

    assert np.abs(probabilities.sum(axis=1) - 1).max() < (1e-5 if precision == "fp32" else 1e-2)


@engines
def test_an_image_gets_the_same_probabilities_alone_and_in_company(
    name: str, ready: Callable[..., ReadyModel], views: NDArray[np.uint8]
) -> None:
    """Nothing of a batch's other images, nor of the batch before, reaches an image's row."""
    engine = load_engine(ready(engine=name), BATCH_SIZE)
    engine.classify(views[50:58])

    in_company = engine.classify(views[:3])
    alone = np.concatenate([engine.classify(views[at : at + 1]) for at in range(3)])

    np.testing.assert_allclose(in_company, alone, atol=1e-6)


@engines
def test_a_result_does_not_change_when_the_engine_goes_on(
    name: str, ready: Callable[..., ReadyModel], views: NDArray[np.uint8]
) -> None:
    """Whoever keeps a batch's rows keeps his own, not the engine's memory."""
    engine = load_engine(ready(engine=name), BATCH_SIZE)
    kept = engine.classify(views[:3])
    as_returned = kept.copy()

    engine.classify(views[50:53])

    np.testing.assert_array_equal(kept, as_returned)


def test_both_engines_give_the_same_probabilities(ready: Callable[..., ReadyModel], views: NDArray[np.uint8]) -> None:
    one, other = (
        load_engine(ready(engine=name), BATCH_SIZE).classify(views[:BATCH_SIZE]) for name in ("openvino", "torch")
    )

    np.testing.assert_allclose(one, other, atol=1e-4)


_HASH_RANDOM_WEIGHTS = """
import hashlib, json
from pathlib import Path
from sys import argv
from models.catalogue import find_entry
from models.engines.reference import build_reference
from models.resolve import model_of

reference = build_reference(model_of(find_entry("squeezenet1_1", Path(argv[1])), "random", "fp32"), None)
digest = hashlib.sha256()
for tensor in reference.state_dict().values():
    digest.update(tensor.numpy().tobytes())
print(json.dumps(digest.hexdigest()))
"""


def test_random_weights_are_the_same_in_every_process(settings: Settings) -> None:
    """Two workers of one night agree, even though nothing was trained."""
    processes = [start_python(_HASH_RANDOM_WEIGHTS, str(settings.cache_dir)) for _ in range(2)]

    assert len({answer_of(process) for process in processes}) == 1


_CLASSIFY_AND_LOOK_AROUND = """
import json, sys
from pathlib import Path

calls = []
sys.addaudithook(
    lambda event, arguments: calls.append(event)
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
    else None
)
import numpy as np
from models.engines.openvino import OpenVinoEngine

probabilities = OpenVinoEngine(Path(sys.argv[1]), "fp32", 2).classify(np.zeros((2, 224, 224, 3), np.uint8))
heavy = ("torch", "torchvision", "openvino_telemetry", "nncf")
print(json.dumps({
    "rows": len(probabilities),
    "imported": [name for name in heavy if sys.modules.get(name)],
    "calls": calls,
}))
"""


def test_a_prepared_model_runs_without_torch_and_without_the_network(resnet18: ReadyModel) -> None:
    """From a fresh process to probabilities: neither torch, torchvision nor telemetry, and no name looked up."""
    assert resnet18.prepared
    seen = in_a_process(_CLASSIFY_AND_LOOK_AROUND, str(resnet18.prepared / "model.xml"))

    assert seen == {"rows": 2, "imported": [], "calls": []}
