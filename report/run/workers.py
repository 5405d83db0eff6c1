"""What each labelling process of a run did, and where their time went."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.figures import worker_samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from report.run.stages import StageTimes
    from report.run.throughput import Spans
    from storage.database import Database
    from storage.records import ChunkTime, WorkerSample


@dataclass(frozen=True, kw_only=True)
class WorkerFigures:
    """What one labelling process did."""

    name: str
    images: int
    failed: int
    busy_s: float  #: with a chunk
    wall_s: float  #: from its first chunk's start to its last one's end, without the run's pauses
    rss_mb: float | None  #: when it last stored a chunk; None: it left no sample
    peak_rss_mb: float | None

    @property
    def busy_share(self) -> float:
        """Share of its time in which it had a chunk, 0…1."""
        return min(1.0, self.busy_s / self.wall_s) if self.wall_s else 0.0

    @property
    def images_per_second(self) -> float:
        """Speed while it had a chunk."""
        return self.images / self.busy_s if self.busy_s else 0.0


@dataclass(frozen=True, kw_only=True)
class TimeShares:
    """Where the labelling processes' time went, as shares of all of it; they sum up to 1."""

    decode: float
    infer: float
    store: float | None  #: None: not known, and then part of `wait`
    other: float  #: with a chunk: reading that was not done ahead, Python
    wait: float  #: without a chunk

    def named(self) -> Iterator[tuple[str, float]]:
        """Yield what is known, as people call it."""
        yield "decoding", self.decode
        yield "inference", self.infer
        if self.store is not None:
            yield "storing", self.store
        yield "reading and other", self.other
        yield "waiting", self.wait


def worker_figures(database: Database, chunks: Sequence[ChunkTime], times: Spans) -> tuple[WorkerFigures, ...]:
    """Sum up the chunks of each labelling process, in the order of their names."""
    by_worker: dict[str, list[ChunkTime]] = defaultdict(list)
    for chunk in chunks:
        by_worker[chunk.worker].append(chunk)
    samples = {sample.name: sample for sample in worker_samples(database, list(by_worker))}
    return tuple(_worker(name, own, times, samples.get(name)) for name, own in sorted(by_worker.items()))


def _worker(name: str, chunks: Sequence[ChunkTime], times: Spans, sample: WorkerSample | None) -> WorkerFigures:
    return WorkerFigures(
        name=name,
        images=sum(chunk.images for chunk in chunks),
        failed=sum(chunk.failed for chunk in chunks),
        busy_s=sum((chunk.done_at - chunk.started_at).total_seconds() for chunk in chunks),
        wall_s=times.overlap_s(min(chunk.started_at for chunk in chunks), chunks[-1].done_at),
        rss_mb=sample.rss_bytes / 1e6 if sample else None,
        peak_rss_mb=sample.peak_rss_bytes / 1e6 if sample else None,
    )


def time_shares(workers: Sequence[WorkerFigures], stages: StageTimes, store_s: float | None) -> TimeShares | None:
    """Work out where the processes' time went; None if they took none.

    Args:
        workers: all that labelled.
        stages: of the images that they labelled.
        store_s: seconds that they waited for the database, together; None: not known.

    """
    wall_s, busy_s = sum(worker.wall_s for worker in workers), sum(worker.busy_s for worker in workers)
    if not wall_s:
        return None
    decode_s, infer_s = stages.total_s("decode"), stages.total_s("infer")
    stored_s = store_s or 0.0
    other_s = max(0.0, busy_s - decode_s - infer_s)
    wait_s = max(0.0, wall_s - busy_s - stored_s)
    whole_s = decode_s + infer_s + stored_s + other_s + wait_s
    return TimeShares(
        decode=decode_s / whole_s,
        infer=infer_s / whole_s,
        store=None if store_s is None else store_s / whole_s,
        other=other_s / whole_s,
        wait=wait_s / whole_s,
    )
