"""Prepare models for OpenVINO: torch converts each once, in a process of its own (`models.convert`), into the cache."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from common.errors import ModelError
from models.cache import locked
from models.prepared_folder import is_intact, prepared_dir
from models.subprocess_steps import run_apart

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Model


def prepare(model: Model, weights_path: Path | None, cache_dir: Path) -> Path:
    """Return the folder of the prepared model, which is made first where it is missing or damaged.

    Safe when two processes start at once: one prepares, the other waits for it.

    Raises:
        ModelError: the weights are missing, damaged, or those of another model; or the cache cannot be written to.

    """
    folder = prepared_dir(model, cache_dir)
    if is_intact(folder, model):
        return folder
    with locked(folder.with_suffix(".lock")):
        if not is_intact(folder, model):
            if weights_path is None and not model.is_random:
                raise ModelError(f"The prepared model {folder} is damaged, and its weights are not on this machine.")
            weights = None if weights_path is None else str(weights_path)
            run_apart("models.convert", cache_dir, model=asdict(model), weights=weights)
    return folder
