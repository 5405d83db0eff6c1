"""Models that were calibrated on images of an archive, in int8 or as cascades: where each lies, and what is known.

Each lies beside the prepared model that it was made of, in a folder like it:

    model.xml, model.bin   the network with int8 weights and activations
    model.json             what it was made of, how well it agrees with fp32, and the sha256 of both files; of a cascade
                           also from which margin on the network's answer stands, and which precision answers else
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.precisions import CASCADE, FP32, INT8
from models.prepared_folder import is_intact, prepared_dir

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Model

#: Images that a model is calibrated on, at most, and others that it is measured on.
MAX_CALIBRATION_IMAGES = 1000
MAX_MEASURED_IMAGES = 500
#: With fewer, neither ranges nor agreement mean anything.
MIN_IMAGES = 40


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How often the best label is the same as in fp32, on images that had no part in calibrating."""

    calibrated_on: int  #: images
    measured_on: int  #: other images
    agreement: float  #: share of those with the same best label as fp32, 0…1
    sure_on: int = 0  #: how many of them fp32 is sure of, by 50 % or more
    sure_agreement: float | None = None  #: share of these with the same best label; None: there are none


@dataclass(frozen=True, kw_only=True)
class CascadeRule:
    """Which answers of a quantised network stand, and what answers in place of the others."""

    full: str  #: precision that answers where the margin is smaller
    least_margin: float  #: from which on the quantised network's answer stands (`models.margin`)
    set_agreement: float  #: share of the calibration images with the same best label as in `full`
    full_share: float  #: share of the images it was measured on that `full` answers


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """A model in int8 or a cascade, on this machine."""

    folder: Path
    calibration: str  #: what makes its labels reproducible: sha256 of the network and of what else decides
    rest: str  #: precision of what is not quantised in the network
    quality: Agreement
    cascade: CascadeRule | None  #: None: int8

    def __str__(self) -> str:
        """Return the figures, for people."""
        found = self.quality
        told = (
            f"{CASCADE if self.cascade else INT8}, calibrated on {found.calibrated_on} images, gives"
            f" {found.agreement:.1%} of {found.measured_on} others the same best label as fp32"
        )
        if found.sure_agreement is not None:
            told += f" ({found.sure_agreement:.1%} of the {found.sure_on} that fp32 is sure of by 50 % or more)"
        if self.cascade:
            told += (
                f"; int8 answers for {1 - self.cascade.full_share:.0%} of them, {self.cascade.full} for the rest. Its"
                f" margin was set for {self.cascade.set_agreement:.1%} of the calibration images"
            )
        return told


def calibrated_dir(model: Model, cache_dir: Path, full: str) -> Path:
    """Return the folder that holds, or will hold, the calibrated model; `full`: the other precision of a cascade."""
    prepared = prepared_dir(model, cache_dir)
    suffix = INT8 if model.precision == INT8 else f"{CASCADE}-{full}"
    return prepared.with_name(f"{prepared.name}-{suffix}")


def find_calibrated(model: Model, cache_dir: Path, full: str) -> Calibrated | None:
    """Return the calibrated model, if it is here and intact."""
    folder = calibrated_dir(model, cache_dir, full)
    if not is_intact(folder, model):
        return None
    try:
        recorded = json.loads((folder / "model.json").read_text())
        rule = recorded.get("cascade")
        return Calibrated(
            folder=folder,
            calibration=_calibration(recorded),
            rest=recorded.get("rest", FP32),
            quality=Agreement(**recorded["quality"]),
            cascade=rule and CascadeRule(**rule),
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None  # damaged


def find_recorded(model: Model, cache_dir: Path) -> Calibrated | None:
    """Return the calibrated model of exactly the calibration that a run recorded, if it is here and intact."""
    prepared = prepared_dir(model, cache_dir)
    fulls = [folder.name.removeprefix(f"{prepared.name}-{CASCADE}-") for folder in _cascade_folders(prepared)]
    for full in fulls if model.precision == CASCADE else [""]:
        found = find_calibrated(model, cache_dir, full)
        if found and found.calibration == model.calibration:
            return found
    return None


def _cascade_folders(prepared: Path) -> list[Path]:
    return [path for path in prepared.parent.glob(f"{prepared.name}-{CASCADE}-*") if path.is_dir()]


def _calibration(recorded: dict[str, Any]) -> str:
    """Return the sha256 of all that decides which labels the model gives."""
    network: str = recorded["sha256"]["model.bin"]
    rest, rule = recorded.get("rest", FP32), recorded.get("cascade")
    if rest == FP32 and rule is None:  # as earlier versions knew it
        return network
    decides = [network, rest, *((rule["full"], rule["least_margin"]) if rule else ())]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()
