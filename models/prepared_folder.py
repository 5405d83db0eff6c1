"""The folder of a prepared model: its name, what is in it, and whether that is still what was written.

    model.xml, model.bin   the network in OpenVINO's format, fp32, from uint8 pixels to probabilities
    model.json             what it was made of, and the sha256 of both files; written last

All precisions share it that are chosen when the model is loaded. A calibrated model has a folder like it of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from models.precisions import BF16, CASCADE, FP32, INT8
from models.weights import sha256_of
from storage.records import Model, Preprocessing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: Raised when the way in which models are prepared changes: older folders are then made anew.
FORMAT = 1

_FILES = ("model.xml", "model.bin")


def prepared_dir(model: Model, cache_dir: Path) -> Path:
    """Return the folder that holds, or will hold, the prepared model."""
    made_of = json.dumps([FORMAT, _whatever_precision(model).key])
    return cache_dir / "models" / f"{model.architecture}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"


def prepared_precisions(architecture: str, recipe: str, weights: str, cache_dir: Path) -> list[str]:
    """Return the precisions in which a model with these weights (sha256) is ready to be loaded on this machine."""
    found = set()
    for path in (cache_dir / "models").glob(f"{architecture}-*/model.json"):
        try:
            made_of = json.loads(path.read_text())["model"]
        except (OSError, ValueError, LookupError, TypeError):
            continue  # damaged: it will be made anew
        if (made_of["architecture"], made_of["recipe"], made_of["weights"]) == (architecture, recipe, weights):
            found |= {made_of["precision"]} if made_of["precision"] in (INT8, CASCADE) else {FP32, BF16}
    return [precision for precision in (FP32, BF16, INT8, CASCADE) if precision in found]


def is_intact(folder: Path, model: Model) -> bool:
    """Tell whether the prepared model is there, made of this one, with the bytes that were written."""
    try:
        record = json.loads((folder / "model.json").read_text())
        is_same = _whatever_precision(model_from_json(record["model"])).key == _whatever_precision(model).key
        recorded = record["sha256"]
        return is_same and all(
            (folder / name).is_file() and sha256_of(folder / name) == recorded[name] for name in _FILES
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def write_folder(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a scratch folder to write a model into, and what to record of it; put it in place when all is there."""
    for left_behind in folder.parent.glob(f"{folder.name}.*"):
        if left_behind.is_dir():  # by a process that was killed: whoever writes here holds the lock
            shutil.rmtree(left_behind, ignore_errors=True)
    scratch = folder.with_suffix(f".{os.getpid()}")
    scratch.mkdir(parents=True)
    record: dict[str, Any] = {}
    try:
        yield scratch, record
        record["sha256"] = {name: sha256_of(scratch / name) for name in _FILES}
        (scratch / "model.json").write_text(json.dumps(record, indent=1))
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def model_from_json(fields: Mapping[str, Any]) -> Model:
    """Return the model that `asdict` was written from: JSON knows no tuples."""
    return Model(**{**fields, "preprocessing": Preprocessing.from_json(fields["preprocessing"])})


def _whatever_precision(model: Model) -> Model:
    return replace(model, precision="any", calibration=None)
