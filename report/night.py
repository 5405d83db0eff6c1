"""The figures of one run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from storage.figures import STAGES, chunk_timings, failures_by_kind, percentiles, worker_samples
from storage.runs import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.database import Database
    from storage.records import ChunkTiming, FailureCount, Percentiles, Progress, Run

#: A time without any chunk in work that is longer than this counts as a pause, not as slow labelling: the run
#: was interrupted, or had no workers.
PAUSE = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class MinuteFigures:
    """Images labelled in one minute."""

    minute: datetime
    images: int


@dataclass(frozen=True, kw_only=True)
class WorkerFigures:
    """What one worker process did."""

    name: str
    images: int
    rss_mb: float | None  #: when it last stored a chunk; None: it left no sample
    peak_rss_mb: float | None


@dataclass(frozen=True, kw_only=True)
class NightFigures:
    """What is known of a run."""

    run: Run
    progress: Progress
    labelling_s: float  #: time in which images were labelled, without pauses
    pauses_s: float
    minutes: tuple[MinuteFigures, ...]
    stages: dict[str, Percentiles]
    failures: tuple[FailureCount, ...]
    workers: tuple[WorkerFigures, ...]
    last_done_at: datetime | None  #: when the newest chunk was done

    @property
    def images_per_second(self) -> float | None:
        """Images with an outcome, by the second of labelling; None before the first chunk."""
        return self.progress.labelled / self.labelling_s if self.labelling_s else None


def night_figures(database: Database, run: Run) -> NightFigures:
    """Read a run's figures from the tables."""
    timings = chunk_timings(database, run.id)
    labelling, pauses = _spans(timings)
    stages = {stage: percentiles(database, run.id, stage) for stage in STAGES}
    return NightFigures(
        run=run,
        progress=progress(database, run.id),
        labelling_s=labelling.total_seconds(),
        pauses_s=pauses.total_seconds(),
        minutes=_by_minute(timings),
        stages={stage: figures for stage, figures in stages.items() if figures},
        failures=tuple(failures_by_kind(database, run.id)),
        workers=_by_worker(database, timings),
        last_done_at=timings[-1].done_at if timings else None,
    )


def _spans(timings: Sequence[ChunkTiming]) -> tuple[timedelta, timedelta]:
    """Return the time in which chunks were in work, short gaps included, and the time of the pauses."""
    labelling = pauses = timedelta()
    reached: datetime | None = None
    for chunk in sorted(timings, key=lambda chunk: chunk.started_at):
        if reached is None:
            reached = chunk.started_at
        gap = chunk.started_at - reached
        if gap > PAUSE:
            pauses += gap
            reached = chunk.started_at
        if chunk.done_at > reached:
            labelling += chunk.done_at - reached
            reached = chunk.done_at
    return labelling, pauses


def _by_minute(timings: Sequence[ChunkTiming]) -> tuple[MinuteFigures, ...]:
    images: Counter[datetime] = Counter()
    for chunk in timings:
        images[chunk.done_at.replace(second=0, microsecond=0)] += chunk.images
    return tuple(MinuteFigures(minute=minute, images=images[minute]) for minute in sorted(images))


def _by_worker(database: Database, timings: Sequence[ChunkTiming]) -> tuple[WorkerFigures, ...]:
    images: Counter[str] = Counter()
    for chunk in timings:
        images[chunk.worker] += chunk.images
    samples = {sample.name: sample for sample in worker_samples(database, list(images))}
    return tuple(
        WorkerFigures(
            name=name,
            images=images[name],
            rss_mb=samples[name].rss_bytes / 1e6 if name in samples else None,
            peak_rss_mb=samples[name].peak_rss_bytes / 1e6 if name in samples else None,
        )
        for name in sorted(images)
    )
