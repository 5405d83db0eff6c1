"""An engine whose answers are looked at before a label is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from celery.exceptions import SoftTimeLimitExceeded

from common.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: By which the probabilities of an image may miss a sum of 1, where the engine computes in 16 bits.
_SUM_TOLERANCE = 0.05


class CheckedEngine:
    """Passes on an engine's answers, if they are such: NaN, too, has a best class and a label that looks right.

    Args:
        classify: the engine's.
        classes: that it tells apart.

    """

    def __init__(self, classify: Callable[[NDArray[np.uint8]], NDArray[np.float32]], classes: int) -> None:
        self._classify = classify
        self._classes = classes
        self.has_answered = False  #: whether the engine has given probabilities for any picture

    def classify(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the engine's answer.

        Raises:
            EngineError: it raised an error, or its answer is no array of probabilities.

        """
        try:
            probabilities = self._classify(batch)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            raise EngineError(f"the engine raised {type(error).__name__}: {error}") from error
        shape = len(batch), self._classes
        if probabilities.shape != shape:
            raise EngineError(f"the engine answered with an array of {probabilities.shape}, not of {shape}")
        sums = probabilities.sum(axis=1)
        if not (np.abs(sums - 1) <= _SUM_TOLERANCE).all() or probabilities.min() < 0:
            raise EngineError(f"the engine's answer is no probabilities: they add up to {sums.tolist()}")
        self.has_answered = True
        return probabilities
