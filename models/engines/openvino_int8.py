"""Quantise a prepared network to int8 with NNCF, in one of several ways."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

import models.engines.openvino  # noqa: F401 - keeps OpenVINO off the network, and so comes first

import openvino as ov  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Axis of a convolution's output, `[N, channels, H, W]`, that tells where in the network it is.
_HEIGHT = 2


class Quantisation(StrEnum):
    """How a network may be quantised. Which one stays closest to fp32 depends on the network and the CPU, and is tried.

    A CPU without VNNI adds two products of 8 bits in 16 bits, and saturates; with a weight of 7 bits it cannot.
    """

    #: 8 bits, for values between the extremes that were seen; the first convolution, which saturates, and the
    #: classifier stay in higher precision, 4 % of the time of a ResNet-18. Measured: closest on ResNets.
    FULL_RANGE = "full range"
    #: The same, and each bias is corrected by what quantising all layers before it has shifted.
    CORRECTED = "full range, corrected biases"
    #: All layers, with weights of 7 bits, each bias corrected for its own layer. Measured: closer on MobileNets.
    SAFE_RANGE = "safe range"


def quantise_network(
    source: Path, views: NDArray[np.uint8], target: Path, how: Quantisation, kept: Collection[str] = ()
) -> None:
    """Quantise a prepared network to int8 with NNCF, on these views, and write it to `target`.

    Args:
        source: a prepared `model.xml`.
        views: uint8 `[N, H, W, 3]`, pictures as the network will see them.
        target: the `model.xml` to write.
        how: one of the ways.
        kept: names of layers that stay in higher precision besides.

    """
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    network = ov.Core().read_model(source)
    ignored = set(kept)
    advanced = AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE)
    if how is not Quantisation.SAFE_RANGE:
        ignored |= set(_ends(network))
        advanced = AdvancedQuantizationParameters(
            overflow_fix=OverflowFix.DISABLE,
            disable_bias_correction=how is Quantisation.FULL_RANGE,
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
        )
    quantised = nncf.quantize(
        network,
        nncf.Dataset([view[np.newaxis] for view in views]),
        # Unsigned activations after ReLU, signed elsewhere: closer to fp32 than symmetric everywhere, as fast.
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(views),
        fast_bias_correction=how is Quantisation.SAFE_RANGE,
        ignored_scope=nncf.IgnoredScope(names=sorted(ignored)) if ignored else None,
        advanced_parameters=advanced,
    )
    ov.save_model(quantised, target, compress_to_fp16=False)


def layer_groups(source: Path) -> Mapping[int, Sequence[str]]:
    """Return the names of a network's convolutions but for the first, by the height of their output in pixels.

    Those of one height follow each other, and cost about the same in common networks: they are the groups in which it
    is tried what a network gains if some stay in higher precision.
    """
    groups: dict[int, list[str]] = {}
    for node in ov.Core().read_model(source).get_ordered_ops():
        if node.get_type_name() in ("Convolution", "GroupConvolution"):
            height = node.get_output_partial_shape(0)[_HEIGHT].get_length()
            groups.setdefault(height, []).append(node.get_friendly_name())
    first = next(iter(groups.values()), [])
    del first[:1]
    return {height: names for height, names in groups.items() if names}


def _ends(network: ov.Model) -> list[str]:
    """Return the names of the first convolution and the last matrix product, as far as there are such."""
    kinds = [(node.get_type_name(), node.get_friendly_name()) for node in network.get_ordered_ops()]
    first = next((name for kind, name in kinds if kind == "Convolution"), None)
    last = next((name for kind, name in reversed(kinds) if kind == "MatMul"), None)
    return [name for name in (first, last) if name]
