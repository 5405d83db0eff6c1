"""Quantise a prepared model to int8, on images of the archive that it will label, and measure what that costs.

NNCF (the extra `int8`) needs pictures like those to come, to learn in which ranges the network's values lie. The
result is kept beside the prepared model, in a folder of its own:

    model.xml, model.bin   the network with int8 weights and activations
    model.json             what it was made of, how well it agrees with fp32, and the sha256 of both files
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from common.errors import ModelError
from models.prepare import is_intact, locked, prepared_dir, run_apart, write_folder
from storage.records import ChunkImage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from storage.records import Model

#: Images that ranges are learnt from, and as many others on which the result is compared with fp32.
MAX_CALIBRATION_IMAGES = 300
#: With fewer, neither ranges nor agreement mean anything.
MIN_IMAGES = 40
#: Images in one call of the comparison.
_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """An int8 model, and how well it agrees with the one that it was made from."""

    folder: Path
    calibration: str  #: sha256 of the network: what makes its labels reproducible
    calibrated_on: int  #: images
    measured_on: int  #: other images
    agreement: float  #: share of those with the same best label as fp32, 0…1

    def __str__(self) -> str:
        """Return the figure, for people."""
        return (
            f"int8, calibrated on {self.calibrated_on} images, gives {self.agreement:.1%} of {self.measured_on} others"
            " the same best label as fp32"
        )


def quantised_dir(model: Model, cache_dir: Path) -> Path:
    """Return the folder that holds, or will hold, the quantised model."""
    prepared = prepared_dir(model, cache_dir)
    return prepared.with_name(f"{prepared.name}-int8")


def find_quantised(model: Model, cache_dir: Path) -> Quantised | None:
    """Return the quantised model, if it is here and intact."""
    folder = quantised_dir(model, cache_dir)
    if not is_intact(folder, model):
        return None
    recorded = json.loads((folder / "model.json").read_text())
    return Quantised(folder=folder, calibration=recorded["sha256"]["model.bin"], **recorded["quality"])


def quantise(
    model: Model, cache_dir: Path, paths: Sequence[str], *, max_bytes: int, max_pixels: int, anew: bool = False
) -> Quantised:
    """Return the model quantised on these images, from the cache where it is there, unless `anew`.

    The model must be prepared. Safe when two processes start at once.

    Raises:
        ModelError: NNCF is not installed, or too few of the images can be read.

    """
    with locked(quantised_dir(model, cache_dir).with_suffix(".lock")):
        found = None if anew else find_quantised(model, cache_dir)
        if found:
            return found
        if find_spec("nncf") is None:
            raise ModelError("int8 needs NNCF: pip install 'nightlabel[int8]'; in a clone, '.[int8]'")
        arguments = {"paths": list(paths), "max_bytes": max_bytes, "max_pixels": max_pixels}
        run_apart("int8", cache_dir, model=asdict(model), **arguments)
        found = find_quantised(model, cache_dir)
    if found is None:
        raise ModelError(f"Quantising {model.architecture} left nothing behind in {cache_dir}.")
    return found


def write_quantised(model: Model, cache_dir: Path, paths: Sequence[str], max_bytes: int, max_pixels: int) -> None:
    """Quantise in this process, which imports NNCF and torch; `quantise` runs it apart."""
    import numpy as np

    from models.engines.openvino import Quantisation, quantise_network

    views = _views(model, paths, max_bytes, max_pixels)
    if len(views) < MIN_IMAGES:
        raise ModelError(
            f"int8 is calibrated on images of the archive, and only {len(views)} of {len(paths)} could be read; it"
            f" takes {MIN_IMAGES}. Use --precision bf16 or fp32."
        )
    half = min(MAX_CALIBRATION_IMAGES, len(views) // 2)
    calibration, others = np.stack(views[:half]), np.stack(views[half : half + MAX_CALIBRATION_IMAGES])
    source = prepared_dir(model, cache_dir) / "model.xml"
    expected = _probabilities(source, "fp32", calibration)
    with write_folder(quantised_dir(model, cache_dir)) as (scratch, record):
        distances = {}
        for how in Quantisation:
            candidate = scratch / f"{how}.xml"
            quantise_network(source, calibration, candidate, how)
            distances[how] = _distance(expected, _probabilities(candidate, "int8", calibration))
        closest = min(distances, key=lambda how: distances[how])
        for how in Quantisation:
            for suffix in (".xml", ".bin"):
                written = scratch / f"{how}{suffix}"
                written.rename(scratch / f"model{suffix}") if how is closest else written.unlink()
        found = _probabilities(scratch / "model.xml", "int8", others).argmax(axis=1)
        same = found == _probabilities(source, "fp32", others).argmax(axis=1)
        record["model"] = asdict(model)
        record["quantisation"] = closest
        record["quality"] = {
            "calibrated_on": len(calibration),
            "measured_on": len(others),
            "agreement": float(same.mean()),
        }


def _views(model: Model, paths: Sequence[str], max_bytes: int, max_pixels: int) -> list[NDArray[np.uint8]]:
    from archive.failures import ImageError
    from archive.reading import Reader
    from pictures.decoding import decode

    views = []
    for _, result in Reader(max_bytes).ahead([ChunkImage(0, path) for path in paths], ["/"]):
        try:
            file = result()
            views.append(decode(file.data, model.preprocessing, max_pixels).pixels)
        except ImageError:
            continue  # it will get its outcome when it is labelled
    return views


def _probabilities(path: Path, precision: str, views: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the network says of the views, float32 `[N, classes]`, computed as this CPU computes it."""
    import numpy as np

    from models.engines.openvino import OpenVinoEngine

    engine = OpenVinoEngine(path, precision, _BATCH)
    return np.concatenate([engine.classify(views[start : start + _BATCH]) for start in range(0, len(views), _BATCH)])


def _distance(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the mean Kullback-Leibler divergence of `found` from `expected`, in nats. Finer than counting labels."""
    import numpy as np

    tiny = np.finfo(np.float32).tiny
    return float((expected * (np.log(expected + tiny) - np.log(found + tiny))).sum(axis=1).mean())
