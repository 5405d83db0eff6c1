"""The contract of an engine, and what it declares of itself: nothing here or in a declaration takes long to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from models.precisions import FP32

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from models.ready_model import ReadyModel
    from storage.records import Model


class Engine(Protocol):
    """A loaded model. It is loaded once per process, and used by one thread."""

    def classify(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of each class.

        Args:
            batch: uint8 `[N, H, W, 3]`, RGB, cropped to the model's input size; N at most the batch size
                that the engine was loaded for.

        Returns:
            float32 `[N, classes]`; each row sums to 1.

        """
        ...


def _runs_everywhere(_precision: str) -> str | None:
    return None


def _fp32(_prepared: Path | None) -> str:
    return FP32


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """What an engine says of itself: its names for users, what it needs, and how it is loaded.

    The functions import what they need when they are called: the command line answers `--help` without any engine.
    """

    name: str  #: what `--engine` takes, and what a run records
    precisions: tuple[str, ...]  #: that it has on some machine, in the order in which they are measured
    calibrated: tuple[str, ...] = ()  #: those of them that it has for a model once `models.quantise` has made it

    #: Tells whether `auto` chooses it on this machine: of those for which it holds, the last one in the registry.
    is_automatic: Callable[[], bool]
    #: Takes a model's folder, as `prepare` returns it; returns the precision that `auto` means for it on this machine.
    automatic_precision: Callable[[Path | None], str] = _fp32
    #: Returns a sentence on why this machine does not compute in a precision; None: it does.
    why_not: Callable[[str], str | None] = _runs_everywhere

    #: Takes a model, its weights file (None: random, or missing) and the cache folder; returns the folder from which
    #: the model is loaded, made first where it is missing or damaged. Raises ModelError. None: it loads the weights.
    prepare: Callable[[Model, Path | None, Path], Path] | None = None
    #: Takes a model, the largest batch (images) and the number of threads. Raises ModelError.
    load: Callable[[ReadyModel, int, int], Engine]
