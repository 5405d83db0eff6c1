"""A prepared model in int8 and as a cascade: from the cache, or calibrated on pictures like those it will see."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from common.errors import ModelError
from models.cache import locked
from models.calibrated import calibrated_dir, find_calibrated
from models.precisions import CASCADE, INT8

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from models.calibrated import Calibrated
    from storage.records import Model


def can_quantise() -> bool:
    """Tell whether NNCF is installed."""
    return find_spec("nncf") is not None


def calibrate(
    model: Model,
    cache_dir: Path,
    draw: Callable[[], Sequence[NDArray[np.uint8] | None]],
    *,
    full: str,
    anew: bool = False,
) -> Calibrated:
    """Return the model calibrated on pictures, from the cache where it is there, unless `anew`.

    The model must be prepared. What is made serves int8 and the cascade: the other one is written as well where it is
    missing. Quantising imports NNCF and torch into this process. Safe when two processes start at once: one calibrates,
    the other waits for it.

    Args:
        model: in int8, or as a cascade.
        cache_dir: where it is kept.
        draw: called if they are needed, returns pictures as the model sees them, uint8 `[H, W, 3]`; None for each that
            could not be read. The first ones are for calibration, the others measure how well it agrees.
        full: precision that answers in a cascade where int8 is not sure.
        anew: both of them, also where they are there already.

    Raises:
        ModelError: NNCF is not installed, or there are too few pictures, or the cache cannot be written to.

    """
    with locked(calibrated_dir(replace(model, precision=INT8), cache_dir, full).with_suffix(".lock")):
        found = None if anew else find_calibrated(model, cache_dir, full)
        if found:
            return found
        if not can_quantise():
            raise ModelError(f"{model.precision} needs NNCF: pip install 'nightlabel[int8]'; in a clone, '.[int8]'")
        both = [replace(model, precision=precision) for precision in (INT8, CASCADE)]
        missing = [one for one in both if anew or find_calibrated(one, cache_dir, full) is None]
        from models.write_calibrated import write_calibrated  # with numpy and OpenVINO

        write_calibrated(missing, cache_dir, draw(), full=full)
        found = find_calibrated(model, cache_dir, full)
    if found is None:
        folder = calibrated_dir(model, cache_dir, full)
        raise ModelError(f"{model.architecture} was calibrated, but its folder {folder} is gone or damaged.")
    return found
