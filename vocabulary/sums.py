"""From a model's probabilities to kinds: three breeds at 0.3 are one dog at 0.9."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from vocabulary.kinds import Kinds, classes, have_kinds, parents, with_parents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class KindSums:
    """Adds up the probabilities of the classes of each kind."""

    def __init__(self) -> None:
        self._kinds = tuple(parents())
        place = {kind: number for number, kind in enumerate(self._kinds)}
        self._of_class = np.array([place[one.kind] for one in classes()])
        #: The places of each kind and of all below it.
        self._below = {
            thing: [place[kind] for kind in self._kinds if thing in with_parents(kind)] for thing in self._kinds
        }

    @classmethod
    def for_labels(cls, labels: Sequence[str]) -> Self | None:
        """Return the sums for a model with these labels; None: they are not ImageNet's, and have no kinds."""
        return cls() if have_kinds(labels) else None

    def of(self, probabilities: NDArray[np.float32], best: Sequence[int]) -> Kinds:
        """Return the kinds of an image. Engines that compute in 16 bits miss a sum of 1 by a little: 1 is the most.

        Args:
            probabilities: float32 [classes], of one image.
            best: the class indices of its labels.

        """
        own = np.bincount(self._of_class, weights=probabilities, minlength=len(self._kinds))
        kind = self._kinds[int(np.argmax(own))]
        shown = {kind, *(classes()[index].kind for index in best)}
        things = {thing for one in shown for thing in with_parents(one)}
        scores = {thing: min(1.0, float(own[self._below[thing]].sum())) for thing in sorted(things)}
        return Kinds(kind, min(1.0, float(own.max())), tuple(scores.items()))
