"""Calibrate a prepared model on pictures like those that it will label, and write what comes of it.

NNCF (the extra `int8`) learns from the pictures in which ranges the network's values lie. Of several quantised networks
the best one is kept for int8, and for the cascade the one with which it takes least time: see `models.int8_candidates`.
Others of the pictures, which had no part in it, then tell how often the labels are those of fp32.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from common.errors import ModelError
from models.calibrated import (
    MAX_CALIBRATION_IMAGES,
    MAX_MEASURED_IMAGES,
    MIN_IMAGES,
    Agreement,
    CascadeRule,
    calibrated_dir,
)
from models.int8_candidates import closest, make_candidates, probabilities, quickest
from models.margin import margins
from models.precisions import CASCADE, FP32
from models.prepared_folder import prepared_dir, write_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from models.int8_candidates import Candidate
    from storage.records import Model

#: A label that fp32 gives with so much is one that it is sure of.
_SURE = 0.5


class _Pictures(NamedTuple):
    """Pictures as the model sees them, uint8 `[N, H, W, 3]`, and what it says of them, float32 `[N, classes]`."""

    views: NDArray[np.uint8]
    fp32: NDArray[np.float32]
    full: NDArray[np.float32]  #: in the cascade's other precision


def write_calibrated(
    models: Sequence[Model], cache_dir: Path, drawn: Sequence[NDArray[np.uint8] | None], *, full: str
) -> None:
    """Calibrate, and write the folders of these models: one in int8, one as a cascade. Whoever calls it holds the lock.

    Raises:
        ModelError: there are too few pictures.

    """
    prepared = prepared_dir(models[0], cache_dir)
    calibration, others = _pictures(prepared / "model.xml", drawn, full)
    with _scratch(prepared.with_name(f"{prepared.name}-candidates")) as scratch:
        candidates = make_candidates(prepared / "model.xml", calibration.views, calibration.fp32, scratch)
        for model in models:
            with write_folder(calibrated_dir(model, cache_dir, full)) as (folder, record):
                chosen, rule, said = _choose(model, candidates, prepared / "model.xml", calibration, others, full)
                for suffix in (".xml", ".bin"):
                    shutil.copyfile(chosen.path.with_suffix(suffix), folder / f"model{suffix}")
                record |= {"model": asdict(model), "quantisation": chosen.name, "rest": chosen.rest}
                record["cascade"] = rule and asdict(rule)
                record["quality"] = asdict(_agreement(len(calibration.views), others.fp32, said))


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, and remove it; first what a process that was killed left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _choose(
    model: Model,
    candidates: Sequence[Candidate],
    source: Path,
    calibration: _Pictures,
    others: _Pictures,
    full: str,
) -> tuple[Candidate, CascadeRule | None, NDArray[np.float32]]:
    """Return the network for this model, a cascade's rule, and what they say of the other pictures."""
    if model.precision != CASCADE:
        chosen = closest(candidates)
        return chosen, None, probabilities(chosen.path, chosen.rest, others.views)
    chosen, margin = quickest(candidates, source, full, calibration.views, calibration.full)
    quick = probabilities(chosen.path, chosen.rest, others.views)
    on_calibration, _ = _cascade(chosen.found, calibration.full, margin)
    on_others, full_share = _cascade(quick, others.full, margin)
    rule = CascadeRule(
        full=full,
        least_margin=margin,
        set_agreement=_same(on_calibration, calibration.full),
        full_share=full_share,
    )
    return chosen, rule, on_others


def _cascade(quick: NDArray[np.float32], full: NDArray[np.float32], margin: float) -> tuple[NDArray[np.float32], float]:
    """Return what a cascade says, float32 `[N, classes]`, and the share of images that its full model answers."""
    stands = margins(quick) >= margin
    return np.where(stands[:, np.newaxis], quick, full), 1 - float(stands.mean())


def _pictures(source: Path, drawn: Sequence[NDArray[np.uint8] | None], full: str) -> tuple[_Pictures, _Pictures]:
    """Return the pictures to calibrate on, and those to measure on.

    Raises:
        ModelError: there are too few.

    """
    views = [view for view in drawn if view is not None]
    if len(views) < MIN_IMAGES:
        raise ModelError(
            f"int8 is calibrated on images of the archive, and only {len(views)} of {len(drawn)} could be read; it"
            f" takes {MIN_IMAGES}. Use --precision bf16 or fp32."
        )
    first = min(MAX_CALIBRATION_IMAGES, max(len(views) // 2, len(views) - MAX_MEASURED_IMAGES))
    found = []
    for part in (views[:first], views[first : first + MAX_MEASURED_IMAGES]):
        stacked = np.stack(part)
        exact = probabilities(source, FP32, stacked)
        found.append(_Pictures(stacked, exact, exact if full == FP32 else probabilities(source, full, stacked)))
    return found[0], found[1]


def _agreement(calibrated_on: int, exact: NDArray[np.float32], said: NDArray[np.float32]) -> Agreement:
    sure = exact.max(axis=1) >= _SURE
    return Agreement(
        calibrated_on=calibrated_on,
        measured_on=len(exact),
        agreement=_same(exact, said),
        sure_on=int(sure.sum()),
        sure_agreement=_same(exact[sure], said[sure]) if sure.any() else None,
    )


def _same(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the share of rows with the same largest value, 0…1."""
    return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())
