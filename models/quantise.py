"""Quantise a prepared model to int8, on pictures like those that it will label, and measure what that costs.

NNCF (the extra `int8`) learns from the pictures in which ranges the network's values lie. The result is kept beside
the prepared model, in a folder of its own:

    model.xml, model.bin   the network with int8 weights and activations
    model.json             what it was made of, how well it agrees with fp32, and the sha256 of both files
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from common.errors import ModelError
from models.cache import locked
from models.precisions import FP32, INT8
from models.prepared_folder import is_intact, prepared_dir, write_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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


def can_quantise() -> bool:
    """Tell whether NNCF is installed."""
    return find_spec("nncf") is not None


def quantise(
    model: Model, cache_dir: Path, draw: Callable[[], Sequence[NDArray[np.uint8] | None]], *, anew: bool = False
) -> Quantised:
    """Return the model quantised on pictures, from the cache where it is there, unless `anew`.

    The model must be prepared. Quantising imports NNCF and torch into this process. Safe when two processes start at
    once: one quantises, the other waits for it.

    Args:
        model: in int8.
        cache_dir: where it is kept.
        draw: called if they are needed, returns pictures as the model sees them, uint8 `[H, W, 3]`; None for each that
            could not be read. The first half is for calibration, the others measure how well it agrees.
        anew: also where there is one already.

    Raises:
        ModelError: NNCF is not installed, or there are too few pictures, or the cache cannot be written to.

    """
    with locked(quantised_dir(model, cache_dir).with_suffix(".lock")):
        found = None if anew else find_quantised(model, cache_dir)
        if found:
            return found
        if not can_quantise():
            raise ModelError("int8 needs NNCF: pip install 'nightlabel[int8]'; in a clone, '.[int8]'")
        write_quantised(model, cache_dir, draw())
        found = find_quantised(model, cache_dir)
    if found is None:
        raise ModelError(
            f"{model.architecture} was quantised, but its folder {quantised_dir(model, cache_dir)} is gone or damaged."
        )
    return found


def write_quantised(model: Model, cache_dir: Path, drawn: Sequence[NDArray[np.uint8] | None]) -> None:
    """Quantise and write the folder. Whoever calls it holds the lock.

    Raises:
        ModelError: there are too few pictures.

    """
    import numpy as np

    views = [view for view in drawn if view is not None]
    if len(views) < MIN_IMAGES:
        raise ModelError(
            f"int8 is calibrated on images of the archive, and only {len(views)} of {len(drawn)} could be read; it"
            f" takes {MIN_IMAGES}. Use --precision bf16 or fp32."
        )
    half = min(MAX_CALIBRATION_IMAGES, len(views) // 2)
    calibration, others = np.stack(views[:half]), np.stack(views[half : half + MAX_CALIBRATION_IMAGES])
    source = prepared_dir(model, cache_dir) / "model.xml"
    with write_folder(quantised_dir(model, cache_dir)) as (scratch, record):
        record["model"] = asdict(model)
        record["quantisation"] = _write_closest(source, calibration, scratch)
        found = _probabilities(scratch / "model.xml", INT8, others).argmax(axis=1)
        same = found == _probabilities(source, FP32, others).argmax(axis=1)
        record["quality"] = {
            "calibrated_on": len(calibration),
            "measured_on": len(others),
            "agreement": float(same.mean()),
        }


def _write_closest(source: Path, calibration: NDArray[np.uint8], folder: Path) -> str:
    """Quantise in each way, and keep the one that is closest to fp32 as `model.xml`; return its name."""
    from models.engines.openvino import Quantisation, quantise_network

    expected = _probabilities(source, FP32, calibration)
    distances = {}
    for how in Quantisation:
        candidate = folder / f"{how}.xml"
        quantise_network(source, calibration, candidate, how)
        distances[how] = divergence(expected, _probabilities(candidate, INT8, calibration))
    closest = min(distances, key=lambda how: distances[how])
    for how in Quantisation:
        for suffix in (".xml", ".bin"):
            written = folder / f"{how}{suffix}"
            written.rename(folder / f"model{suffix}") if how is closest else written.unlink()
    return closest


def _probabilities(path: Path, precision: str, views: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the network says of the views, float32 `[N, classes]`, computed as this CPU computes it."""
    import numpy as np

    from models.engines.openvino import OpenVinoEngine

    engine = OpenVinoEngine(path, precision, _BATCH)
    return np.concatenate([engine.classify(views[start : start + _BATCH]) for start in range(0, len(views), _BATCH)])


def divergence(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the mean Kullback-Leibler divergence of `found` from `expected`, in nats. Finer than counting labels."""
    import numpy as np

    tiny = np.finfo(np.float32).tiny
    return float((expected * (np.log(expected + tiny) - np.log(found + tiny))).sum(axis=1).mean())
