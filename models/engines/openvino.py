"""The OpenVINO engine: the default on CPUs. Neither torch nor torchvision is imported to run it."""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from common.errors import ModelError
from models.precisions import BF16, FP32

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from storage.records import Model

#: Keeps OpenVINO from reporting its use over the network: without the module it falls back to a stub.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # how Python spells «not there»

import openvino as ov  # noqa: E402

#: AVX512-BF16 and AMX are what OpenVINO computes bf16 with.
NO_BF16 = "This CPU has no bf16 (AVX512-BF16 or AMX). Use --precision fp32, or auto."

_HINTS = {FP32: "f32", BF16: "bf16"}


class OpenVinoEngine:
    """A prepared model, compiled for so many cores and for batches of up to a size."""

    def __init__(self, model_path: Path, precision: str, batch_size: int, threads: int = 1) -> None:
        """Load and compile.

        Args:
            model_path: a prepared `model.xml`.
            precision: fp32 or bf16; of a quantised network, what is computed in for all that is not quantised in it.
            batch_size: images that are classified at once, at most.
            threads: CPUs that it may use.

        Raises:
            ModelError: the CPU does not compute in this precision; OpenVINO would take another without a word.

        """
        if precision == BF16 and not cpu_has_bf16():
            raise ModelError(NO_BF16)
        network = ov.Core().read_model(model_path)
        picture = tuple(side.get_length() for side in list(network.input(0).partial_shape)[1:])
        self.picture: tuple[int, ...] = picture  #: `(H, W, 3)` of an image
        # A batch that is not full costs only what is in it; measured: full ones are as fast as with one fixed size.
        network.reshape([ov.Dimension(1, batch_size), *picture])
        compiled = ov.Core().compile_model(
            network,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _HINTS[precision],
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                # Pinning puts the first thread of every process on the first CPU: two workers on one core.
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._request = compiled.create_infer_request()
        self.classify(np.zeros((1, *picture), np.uint8))  # the first one lays the weights out
        _release_pages(model_path.with_suffix(".bin"))

    def classify(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._request.set_input_tensor(ov.Tensor(batch, shared_memory=True))
        self._request.infer()
        probabilities: NDArray[np.float32] = self._request.get_output_tensor(0).data.copy()
        return probabilities


def _release_pages(weights: Path) -> None:
    """Give back the memory in which the weights file is mapped.

    The first inference copied the weights in the layout and precision of the CPU; the mapping stays, and would count as
    46 MB of every worker's memory. The pages are clean: one that is needed after all is read again.
    Source: madvise(2), MADV_DONTNEED.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    with open("/proc/self/maps", errors="surrogateescape") as mappings:  # with the names of whatever is mapped
        for mapping in mappings:
            if mapping.rstrip().endswith(str(weights)):
                start, end = (int(address, 16) for address in mapping.split()[0].split("-"))
                libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def cpu_has_bf16() -> bool:
    """Tell whether the CPU computes in bf16 (AVX512-BF16 or AMX), as OpenVINO sees it."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def cpu_name() -> str:
    """Return what tells this CPU from others that are as fast or slow in a precision, with this OpenVINO."""
    core = ov.Core()
    name, features = (core.get_property("CPU", one) for one in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES"))
    return f"{name}, {' '.join(features)}{' AMX' if _has_amx() else ''}, OpenVINO {ov.__version__}"


def _has_amx() -> bool:
    """Tell whether the CPU has AMX, of which OpenVINO says no more than «BF16»; without Linux, not."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as cpus:
            return any("amx_tile" in line.split() for line in cpus if line.startswith("flags"))
    except OSError:
        return False


def convert(model: Model, weights_path: Path | None, target: Path) -> None:
    """Convert torchvision's model, from uint8 pixels to probabilities, and write it to `target` in fp32.

    Raises:
        ModelError: the weights are damaged, or those of another model.

    """
    import torch

    from models.engines.reference import build_reference

    reference = build_reference(model, weights_path)
    size = model.preprocessing.crop_size
    example = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    exported: Any = torch.export.export(
        reference, (example,), dynamic_shapes=({0: torch.export.Dim("images", min=1, max=1024)},)
    )
    network = ov.convert_model(exported)
    network.reshape([-1, size, size, 3])
    ov.save_model(network, target, compress_to_fp16=False)
