"""What a run found: labels, how sure the model was, what failed, and which files are the same."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from storage.outcome_figures import LabelSum
    from storage.records import Copies, OutcomePage

#: Bins of the histogram of the best label's score, each 1/20 wide.
CONFIDENCE_BINS = 20
#: Of a best label with a lower score the model itself says that it is as likely another one.
LOW_CONFIDENCE = 0.5
TOP_LABELS = 15
TOP_KINDS = 15
LARGEST_DUPLICATES = 5


@dataclass(frozen=True, kw_only=True)
class LabelCount:
    """How many images have a label as their best one."""

    label: str
    images: int
    mean_score: float


@dataclass(frozen=True, kw_only=True)
class KindCount:
    """How many images have a kind as their best one."""

    kind: str
    images: int


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
    kinds: int  #: different ones; 0: the model's labels have none
    top_kinds: tuple[KindCount, ...]
    confidence: tuple[int, ...]  #: images by score: 0 to 1/20, to 2/20, …, to 1
    low_confidence_share: float | None  #: of the labelled ones; None if there are none
    duplicates: Duplicates


class OutcomeCounter:
    """Counts outcomes, page by page, in memory that does not grow with them."""

    def __init__(self) -> None:
        self._confidence = np.zeros(CONFIDENCE_BINS, np.int64)
        self._low = 0
        self.images = 0  #: that have an outcome
        self.copied = 0  #: that have labels, and were not decoded: those of the same bytes

    def add(self, page: OutcomePage) -> None:
        self.images += len(page.chunk_id)
        has_score = ~np.isnan(page.score)
        self.copied += int((has_score & np.isnan(page.stages_ms["decode"])).sum())
        scores = page.score[has_score]
        places = np.minimum((scores * CONFIDENCE_BINS).astype(np.intp), CONFIDENCE_BINS - 1)
        self._confidence += np.bincount(places, minlength=CONFIDENCE_BINS)
        self._low += int((scores < LOW_CONFIDENCE).sum())

    def outcomes(self, labels: Sequence[LabelSum], kinds: Sequence[tuple[str, int]], copies: Duplicates) -> Outcomes:
        """Return what was counted, with what the database has summed up."""
        images = int(self._confidence.sum())
        counts = [
            LabelCount(label=label, images=count, mean_score=float(score / count)) for label, count, score in labels
        ]
        of_kinds = [KindCount(kind=kind, images=count) for kind, count in kinds]
        return Outcomes(
            labels=len(counts),
            top_labels=tuple(sorted(counts, key=lambda one: (-one.images, one.label))[:TOP_LABELS]),
            kinds=len(of_kinds),
            top_kinds=tuple(sorted(of_kinds, key=lambda one: (-one.images, one.kind))[:TOP_KINDS]),
            confidence=tuple(map(int, self._confidence)),
            low_confidence_share=self._low / images if images else None,
            duplicates=copies,
        )


def duplicates(copies: Iterable[Copies]) -> Duplicates:
    """Sum up the contents that more than one of the files have."""
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
