"""Classify in batches: by one model, or by a quick one and, where that is not sure, by the full one.

The pictures of which the first is not sure wait for each other, so that the second's batches are full as well. What a
picture is answered does not depend on those beside it: an engine gives each row of a batch what it gives it alone.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

from models.engines import load_engine
from models.margin import margins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from models.engines.spec import Engine
    from models.ready_model import ReadyModel

T = TypeVar("T")


class Stage(NamedTuple):
    """A loaded engine, and which of its answers stand."""

    engine: Engine
    precision: str
    least_margin: float  #: of an answer that stands (`models.margin`); 0: each does


class Answer(NamedTuple, Generic[T]):
    """What a model says of one picture."""

    of: T  #: what the picture was handed in with
    probabilities: NDArray[np.float32]  #: `[classes]`
    precision: str  #: in which they were computed
    infer_ms: float  #: each batch's time, divided by the pictures in it; of both stages where both were asked


class _Waiting(NamedTuple, Generic[T]):
    of: T
    pixels: NDArray[np.uint8]
    spent_ms: float


def load_stages(ready: ReadyModel, batch_size: int, threads: int = 1) -> tuple[Stage, ...]:
    """Load a model: one stage, of a cascade two.

    Raises:
        ModelError: there is no such engine, or it cannot load the model.

    """
    cascade = ready.cascade
    parts = [(ready, 0.0)] if cascade is None else [(cascade.quick, cascade.least_margin), (cascade.full, 0.0)]
    return tuple(Stage(load_engine(part, batch_size, threads), part.model.precision, margin) for part, margin in parts)


class Batches(Generic[T]):
    """The pictures of one chunk, as they gather into batches: another chunk's must not be among them.

    Args:
        stages: the model.
        batch_size: pictures that are classified together, at most.

    """

    def __init__(self, stages: Sequence[Stage], batch_size: int) -> None:
        self._stages = stages
        self._batch_size = batch_size
        self._waiting: list[list[_Waiting[T]]] = [[] for _ in stages]

    def add(self, of: T, pixels: NDArray[np.uint8]) -> Iterator[Answer[T]]:
        """Take a picture, uint8 `[H, W, 3]`; yield what is known by then of it and of others."""
        return self._add(0, _Waiting(of, pixels, 0.0))

    def flush(self) -> Iterator[Answer[T]]:
        """Yield the answers to all that still wait."""
        for number, waiting in enumerate(self._waiting):
            if waiting:
                yield from self._classify(number)

    def _add(self, number: int, picture: _Waiting[T]) -> Iterator[Answer[T]]:
        self._waiting[number].append(picture)
        if len(self._waiting[number]) == self._batch_size:
            yield from self._classify(number)

    def _classify(self, number: int) -> Iterator[Answer[T]]:
        batch = self._waiting[number].copy()
        self._waiting[number].clear()
        stage = self._stages[number]
        started = perf_counter()
        rows = stage.engine.classify(np.stack([picture.pixels for picture in batch]))
        each_ms = (perf_counter() - started) * 1000 / len(batch)
        stands = (margins(rows) >= stage.least_margin) if stage.least_margin else np.ones(len(batch), np.bool_)
        for picture, row, is_sure in zip(batch, rows, stands.tolist(), strict=True):
            spent_ms = picture.spent_ms + each_ms
            if is_sure:
                yield Answer(picture.of, row, stage.precision, spent_ms)
            else:
                yield from self._add(number + 1, picture._replace(spent_ms=spent_ms))
