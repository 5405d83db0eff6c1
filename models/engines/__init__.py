"""What executes a model: one contract, and one factory that chooses.

An engine is loaded once a process, and is used by one thread.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from common.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.resolve import ReadyModel


#: The precision that is never chosen by itself: it has to be calibrated on the archive.
INT8 = "int8"


class Engine(Protocol):
    """A loaded model."""

    def classify(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of each class.

        Args:
            batch: uint8 `[N, H, W, 3]`, RGB, cropped to the model's input size; N at most the batch size
                that the engine was loaded for.

        Returns:
            float32 `[N, classes]`; each row sums to 1.

        """
        ...


def load_engine(ready: ReadyModel, batch_size: int, threads: int = 1) -> Engine:
    """Load a model into the engine that it was resolved for, for batches of up to `batch_size` images.

    One thread, where there is a process a core; all cores, where there is one process.
    """
    if ready.engine == "torch":
        from models.engines.torch import TorchEngine

        return TorchEngine(ready.model, ready.weights_path, threads)
    from models.engines.openvino import OpenVinoEngine

    assert ready.prepared
    return OpenVinoEngine(ready.prepared / "model.xml", ready.model.precision, batch_size, threads)


def choose_engine(wanted: str) -> str:
    """Return the engine for `auto`: torch where there is a CUDA device, OpenVINO on CPUs."""
    if wanted != "auto":
        return wanted
    return "torch" if has_cuda() else "openvino"


def has_cuda() -> bool:
    """Tell whether torch can use a GPU. Without NVIDIA's driver the answer costs no import of torch."""
    if not Path("/dev/nvidiactl").exists():
        return False
    # Asked of the driver, without starting CUDA: a worker's main process asks, and forks afterwards.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    import torch

    return torch.cuda.is_available()


def choose_precision(wanted: str, engine: str) -> str:
    """Return the precision for `auto`: bf16 where the hardware computes in it, else fp32.

    Raises:
        ModelError: bf16 was asked for, and this hardware has none; or int8, and the engine is not OpenVINO.

    """
    if wanted == INT8 and engine != "openvino":
        raise ModelError("int8 runs on OpenVINO only. Use --engine openvino, or --precision fp32.")
    if wanted in ("fp32", INT8):
        return wanted
    if wanted == "auto" and engine == "torch" and not has_cuda():
        return "fp32"
    if engine == "torch":
        return "bf16"  # torch computes in it everywhere, though not everywhere faster
    from models.engines.openvino import NO_BF16, cpu_has_bf16

    if cpu_has_bf16():
        return "bf16"
    if wanted == "auto":
        return "fp32"
    raise ModelError(NO_BF16)
