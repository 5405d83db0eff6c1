"""Convert a model from torch to OpenVINO: a step in a process of its own, `python -P -m models.convert`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.prepared_folder import model_from_json, prepared_dir, write_folder
from models.subprocess_steps import main

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.records import Model


def write_model(model: Model, weights_path: Path | None, cache_dir: Path) -> None:
    """Convert a model in this process, which imports torch, and write its folder. Whoever calls it holds the lock.

    Raises:
        ModelError: the weights do not fit the model, or are damaged.

    """
    from models.engines.openvino import convert  # torch's threads are counted before it is imported

    with write_folder(prepared_dir(model, cache_dir)) as (scratch, record):
        convert(model, weights_path, scratch / "model.xml")
        record["model"] = asdict(model)


def _step(cache_dir: str, model: Mapping[str, Any], weights: str | None) -> None:
    write_model(model_from_json(model), Path(weights) if weights else None, Path(cache_dir))


if __name__ == "__main__":
    main(_step)
