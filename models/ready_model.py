"""A model that was found, checked and prepared: what an engine loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.precisions import FP32

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Model


@dataclass(frozen=True, kw_only=True)
class ReadyModel:
    """A model that can be loaded on this machine, now."""

    model: Model
    engine: str  #: its name, one of those in `models.engines`
    categories: tuple[str, ...]
    weights_path: Path | None  #: None for random weights, and where only the prepared model is here
    prepared: Path | None  #: the folder with the prepared model; None: the engine needs none
    rest: str = FP32  #: in int8: precision of what is not quantised in it
    cascade: ReadyCascade | None = None  #: of a cascade, the two models that answer in its place


@dataclass(frozen=True, kw_only=True)
class ReadyCascade:
    """A quantised model, and the full one for the images of which the quantised one is not sure."""

    quick: ReadyModel
    full: ReadyModel
    least_margin: float  #: of the quick one's answer, if it is to stand (`models.margin`)
