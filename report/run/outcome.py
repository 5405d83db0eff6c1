"""What a run found: labels, how sure the model was, what failed, and which files are the same."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from storage.records import Copies, OutcomePage

#: Bins of the histogram of the best label's score, each 1/20 wide.
CONFIDENCE_BINS = 20
#: Of a best label with a lower score the model itself says that it is as likely another one.
LOW_CONFIDENCE = 0.5
TOP_LABELS = 15
LARGEST_DUPLICATES = 5


@dataclass(frozen=True, kw_only=True)
class LabelCount:
    """How many images have a label as their best one."""

    label: str
    images: int
    mean_score: float


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Files with the same bytes."""

    groups: int  #: of two or more
    extra_files: int  #: beyond one of each group
    extra_bytes: int
    largest: tuple[tuple[str, int], ...]  #: content and how many files have it, most first


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What a run found."""

    labels: int  #: different ones
    top_labels: tuple[LabelCount, ...]
    confidence: tuple[int, ...]  #: images by score: 0 to 1/20, to 2/20, …, to 1
    low_confidence_share: float | None  #: of the labelled ones; None if there are none
    duplicates: Duplicates


class OutcomeCounter:
    """Counts outcomes, page by page, in memory that does not grow with them."""

    def __init__(self) -> None:
        self._places: defaultdict[str | None, int] = defaultdict()
        self._places.default_factory = self._places.__len__  # each label gets the next number
        self._places[None] = 0
        self._counts = np.zeros(1, np.int64)  #: by the label's number
        self._scores = np.zeros(1)  #: their sum, by the label's number
        self._confidence = np.zeros(CONFIDENCE_BINS, np.int64)
        self._low = 0
        self.images = 0  #: that have an outcome

    def add(self, page: OutcomePage) -> None:
        self.images += len(page.chunk_id)
        given = np.array(page.score, np.float64)  # None becomes NaN
        labels = np.fromiter(map(self._places.__getitem__, page.label), np.intp, len(page.label))
        self._counts = _add(self._counts, np.bincount(labels))
        self._scores = _add(self._scores, np.bincount(labels, np.nan_to_num(given)))
        scores = given[~np.isnan(given)]
        places = np.minimum((scores * CONFIDENCE_BINS).astype(np.intp), CONFIDENCE_BINS - 1)
        self._confidence += np.bincount(places, minlength=CONFIDENCE_BINS)
        self._low += int((scores < LOW_CONFIDENCE).sum())

    def outcomes(self, copies: Iterable[Copies]) -> Outcomes:
        """Return what was counted, with the contents that more than one of the files have."""
        images = int(self._confidence.sum())
        means = self._scores / np.maximum(self._counts, 1)
        labels = [
            LabelCount(label=label, images=int(self._counts[place]), mean_score=float(means[place]))
            for label, place in self._places.items()
            if label is not None
        ]
        return Outcomes(
            labels=len(labels),
            top_labels=tuple(sorted(labels, key=lambda one: (-one.images, one.label))[:TOP_LABELS]),
            confidence=tuple(map(int, self._confidence)),
            low_confidence_share=self._low / images if images else None,
            duplicates=_duplicates(copies),
        )


def _duplicates(copies: Iterable[Copies]) -> Duplicates:
    groups = extra_files = extra_bytes = 0
    largest: list[tuple[int, str]] = []
    for one in copies:
        groups += 1
        extra_files += one.files - 1
        extra_bytes += (one.files - 1) * one.size
        largest = nsmallest(LARGEST_DUPLICATES, [*largest, (-one.files, one.content)])
    return Duplicates(
        groups=groups,
        extra_files=extra_files,
        extra_bytes=extra_bytes,
        largest=tuple((content, -files) for files, content in largest),
    )


def _add(to: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
    """Add two arrays of which either may be the longer one."""
    longer, shorter = (to, more) if len(to) >= len(more) else (more, to)
    longer[: len(shorter)] += shorter
    return longer
