"""What the torch engine declares: the reference on CPUs, and the engine on CUDA."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from models.engines.spec import Engine, EngineSpec
from models.precisions import BF16, FP32

if TYPE_CHECKING:
    from models.ready_model import ReadyModel


def has_cuda() -> bool:
    """Tell whether torch can use a GPU. Without NVIDIA's driver the answer costs no import of torch."""
    if not Path("/dev/nvidiactl").exists():
        return False
    # Asked of the driver, without starting CUDA: a worker's main process asks, and forks afterwards.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    import torch

    return torch.cuda.is_available()


def _automatic_precision(_prepared: Path | None) -> str:
    return BF16 if has_cuda() else FP32  # torch computes in bf16 everywhere, though not everywhere faster


def _load(ready: ReadyModel, _batch_size: int, threads: int) -> Engine:
    from models.engines.torch import TorchEngine

    return TorchEngine(ready.model, ready.weights_path, threads)


TORCH = EngineSpec(
    name="torch",
    precisions=(FP32, BF16),
    is_automatic=has_cuda,
    automatic_precision=_automatic_precision,
    load=_load,
)
