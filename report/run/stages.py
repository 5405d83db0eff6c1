"""How long an image took in each stage, over a whole run and part by part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from report.run.distribution import Distribution
from storage.outcome_figures import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from report.run.distribution import Percentiles
    from storage.records import ChunkTime, OutcomePage

#: Parts of a run that percentiles over time are given for, at most.
MOST_PARTS = 60
#: Seconds that such a part takes at least.
LEAST_PART_S = 60.0
#: What the stages are called. The sum leaves out the queue, where an image waits for others.
STAGE_NAMES = {stage: stage for stage in STAGES} | {"total": "read + decode + infer"}


@dataclass(frozen=True, kw_only=True)
class PartFigures:
    """A part of a run."""

    begin: datetime
    end: datetime
    stages: dict[str, Percentiles]


class StageTimes:
    """Counts each stage's times by part of the run, page by page, in memory that does not grow with the images."""

    def __init__(self, chunks: Sequence[ChunkTime]) -> None:
        """Divide the run into parts.

        Args:
            chunks: the finished ones, in the order in which they ended; without any, nothing is counted.

        """
        self._edges = _edges(chunks)
        parts = len(self._edges) - 1
        self._stages = {stage: Distribution(parts) for stage in STAGES} if chunks else {}
        ids = np.array([chunk.chunk_id for chunk in chunks], np.int64)
        ends = np.array([chunk.done_at.timestamp() for chunk in chunks])
        order = np.argsort(ids)
        self._chunk_ids = ids[order]
        self._part_of_chunk = np.clip(np.searchsorted(self._edges, ends[order]) - 1, 0, max(parts - 1, 0))

    def add(self, page: OutcomePage) -> None:
        if not self._stages:
            return
        # Of a chunk that is not done yet, some images may be: they count with the part that is next to come.
        places = np.minimum(np.searchsorted(self._chunk_ids, page.chunk_id), len(self._chunk_ids) - 1)
        part = self._part_of_chunk[places]
        for stage, ms in page.stages_ms.items():
            self._stages[stage].add(part, ms)

    def total_s(self, stage: str) -> float:
        """Return the seconds that all images together took in a stage."""
        return self._stages[stage].total_ms / 1000 if self._stages else 0.0

    def overall(self) -> dict[str, Percentiles]:
        """Return the percentiles over the run, in ms; a stage that no image reached is left out."""
        return {stage: found for stage, times in self._stages.items() if (found := times.overall())}

    def parts(self) -> Iterator[PartFigures]:
        """Yield the parts in which an image was labelled."""
        by_stage = {stage: times.by_part() for stage, times in self._stages.items()}
        edges = [datetime.fromtimestamp(edge, UTC) for edge in self._edges]
        for part, (begin, end) in enumerate(pairwise(edges)):
            percentiles = {stage: found for stage, parts in by_stage.items() if (found := parts[part])}
            if percentiles:
                yield PartFigures(begin=begin, end=end, stages=percentiles)


def _edges(chunks: Sequence[ChunkTime]) -> NDArray[np.float64]:
    """Return the instants, in seconds since 1970, at which parts begin, and at last the end."""
    if not chunks:
        return np.empty(0)
    begin, end = min(chunk.started_at for chunk in chunks).timestamp(), chunks[-1].done_at.timestamp()
    parts = int(np.clip((end - begin) // LEAST_PART_S, 1, MOST_PARTS))
    return np.linspace(begin, end, parts + 1)
