"""What the OpenVINO engine declares: the default on CPUs, fast to start, with int8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.engines.spec import Engine, EngineSpec
from models.precisions import BF16, CASCADE, FP32, INT8

if TYPE_CHECKING:
    from pathlib import Path

    from models.ready_model import ReadyModel
    from storage.records import Model


def _is_automatic() -> bool:
    return True  # there is a CPU on every machine


def _automatic_precision(prepared: Path | None) -> str:
    assert prepared
    if _why_not(BF16):
        return FP32
    from models.engines.openvino_race import faster_precision

    return faster_precision(prepared)


def _why_not(precision: str) -> str | None:
    if precision != BF16:
        return None
    from models.engines.openvino import NO_BF16, cpu_has_bf16

    return None if cpu_has_bf16() else NO_BF16


def _prepare(model: Model, weights_path: Path | None, cache_dir: Path) -> Path:
    from models.prepare import prepare

    return prepare(model, weights_path, cache_dir)


def _load(ready: ReadyModel, batch_size: int, threads: int) -> Engine:
    from models.engines.openvino import OpenVinoEngine

    assert ready.prepared
    precision = ready.rest if ready.model.precision == INT8 else ready.model.precision
    return OpenVinoEngine(ready.prepared / "model.xml", precision, batch_size, threads)


OPENVINO = EngineSpec(
    name="openvino",
    precisions=(FP32, BF16, INT8, CASCADE),
    calibrated=(INT8, CASCADE),
    is_automatic=_is_automatic,
    automatic_precision=_automatic_precision,
    why_not=_why_not,
    prepare=_prepare,
    load=_load,
)
