"""The torch engine: the reference on CPUs, and the engine on CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from models.engines.reference import build_reference

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from storage.records import Model


class TorchEngine:
    """torchvision's own model, in eager mode."""

    def __init__(self, model: Model, weights_path: Path | None, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.bfloat16 if model.precision == "bf16" else torch.float32
        self._model = build_reference(model, weights_path).to(self._device, dtype).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def classify(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = torch.from_numpy(batch).to(self._device)
        probabilities: NDArray[np.float32] = self._model(pixels).float().cpu().numpy()
        return probabilities
