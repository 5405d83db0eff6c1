"""Quantise a network in several ways, measure each on the calibration images and on this CPU, and choose.

First each way of `Quantisation`; then the one that is closest to fp32 again with a group of its layers in higher
precision, each group in turn. Where the CPU computes in bf16, what is not quantised is tried in it as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import process_time
from typing import TYPE_CHECKING

import numpy as np

from host.machine import available_cpus
from models.engines.openvino import OpenVinoEngine, cpu_has_bf16
from models.engines.openvino_int8 import Quantisation, layer_groups, quantise_network
from models.margin import least_margin, margins
from models.precisions import BF16, FP32

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Images that ranges are learnt from. More find further extremes, which make the steps between values coarser.
MAX_RANGE_IMAGES = 128
#: How much longer than the quickest one the network that is kept for int8 may take. Measured with VNNI: weights of 7
#: bits everywhere 6.5 ms and 0.019 nats from fp32; of 8 bits, with two layers in fp32, 7.9 ms and 0.005; fp32 25 ms.
_SLOWER_AT_MOST = 1.35
#: Images in one call.
_BATCH = 8
#: Calls that one image's time is the shortest of: others use this machine's caches as well.
_CALLS = 4


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A quantised network, and what was measured of it."""

    name: str
    path: Path  #: its `model.xml`
    rest: str  #: precision of what is not quantised in it
    found: NDArray[np.float32]  #: what it says of the calibration images, `[N, classes]`
    distance: float  #: of that from fp32, in nats
    image_ms: float  #: one image on one thread of this CPU


def make_candidates(
    source: Path, views: NDArray[np.uint8], exact: NDArray[np.float32], folder: Path
) -> list[Candidate]:
    """Quantise a prepared network in several ways, and measure each.

    Args:
        source: its `model.xml`.
        views: the calibration images, uint8 `[N, H, W, 3]`.
        exact: what the network says of them in fp32, float32 `[N, classes]`.
        folder: where the quantised networks are written.

    """
    made = [one for how in Quantisation for one in _make(source, views, exact, folder, how)]
    groups = layer_groups(source)
    if len(groups) > 1:
        how = Quantisation(min(made, key=lambda one: one.distance).name)
        for height, kept in groups.items():
            made += _make(source, views, exact, folder, how, kept, f", layers of {height} rows in higher precision")
    return made


def closest(candidates: Sequence[Candidate]) -> Candidate:
    """Return the one that is closest to fp32, of those that take little longer than the quickest."""
    quickest_ms = min(one.image_ms for one in candidates)
    quick = [one for one in candidates if one.image_ms <= _SLOWER_AT_MOST * quickest_ms]
    return min(quick, key=lambda one: one.distance)


def quickest(
    candidates: Sequence[Candidate],
    source: Path,
    full: str,
    views: NDArray[np.uint8],
    said: NDArray[np.float32],
) -> tuple[Candidate, float]:
    """Return the one with which a cascade takes the least time, and the margin from which on its answer stands.

    Args:
        candidates: measured on the calibration images.
        source: the network's `model.xml`.
        full: precision in which it answers where the candidate is not sure.
        views: the calibration images, uint8 `[N, H, W, 3]`.
        said: what the network says of them in that precision, float32 `[N, classes]`.

    """
    full_ms = time_image(source, full, views)

    def expected_ms(one: Candidate, margin: float) -> float:
        return one.image_ms + float((margins(one.found) < margin).mean()) * full_ms

    with_margins = [(one, least_margin(one.found, said)) for one in candidates]
    return min(with_margins, key=lambda pair: expected_ms(*pair))


def probabilities(path: Path, precision: str, views: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what a network says of pictures, as this CPU computes it.

    Args:
        path: its `model.xml`.
        precision: of what is not quantised in it.
        views: uint8 `[N, H, W, 3]`.

    Returns:
        float32 `[N, classes]`.

    """
    engine = OpenVinoEngine(path, precision, _BATCH, available_cpus())
    return np.concatenate([engine.classify(views[start : start + _BATCH]) for start in range(0, len(views), _BATCH)])


def time_image(path: Path, precision: str, views: NDArray[np.uint8]) -> float:
    """Return the milliseconds of CPU time that one image takes in full batches, on one thread.

    Not those that pass: on a busy machine chance would choose between networks.
    """
    engine = OpenVinoEngine(path, precision, _BATCH)
    batch = np.ascontiguousarray(views[:_BATCH])
    seconds = []
    for _ in range(_CALLS):
        begun = process_time()
        engine.classify(batch)
        seconds.append(process_time() - begun)
    return min(seconds) * 1000 / len(batch)


def divergence(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the mean Kullback-Leibler divergence of `found` from `expected`, in nats. Finer than counting labels."""
    tiny = np.finfo(np.float32).tiny
    return float((expected * (np.log(expected + tiny) - np.log(found + tiny))).sum(axis=1).mean())


def _make(
    source: Path,
    views: NDArray[np.uint8],
    exact: NDArray[np.float32],
    folder: Path,
    how: Quantisation,
    kept: Collection[str] = (),
    suffix: str = "",
) -> Iterator[Candidate]:
    """Quantise in one way, and yield it with each precision that the rest of it can be computed in."""
    path = folder / f"{how}{suffix}.xml"
    quantise_network(source, views[:MAX_RANGE_IMAGES], path, how, kept)
    for rest in (FP32, BF16) if cpu_has_bf16() else (FP32,):
        found = probabilities(path, rest, views)
        yield Candidate(
            name=f"{how}{suffix}",
            path=path,
            rest=rest,
            found=found,
            distance=divergence(exact, found),
            image_ms=time_image(path, rest, views),
        )
