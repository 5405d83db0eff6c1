"""The figures of one run, from the tables alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from statistics import median_high
from typing import TYPE_CHECKING

from report.beside import beside
from report.run.accuracy import Accuracy, accuracy
from report.run.folders import FAILING_FOLDER_IMAGES, FailingFolder, failing_folders
from report.run.outcome import OutcomeCounter, Outcomes, duplicates
from report.run.stability import Stability, stability
from report.run.stages import PartFigures, StageTimes
from report.run.throughput import MinuteFigures, Spans, by_minute, forecast_s, spans, speed_by_workers
from report.run.workers import TimeShares, WorkerFigures, time_shares, worker_figures
from storage.figures import (
    chunk_times,
    doubtful_images,
    failures_by_kind,
    process_samples,
)
from storage.outcome_figures import copies, kind_counts, label_sums, outcome_pages
from storage.reviews import review_answers
from storage.runs import progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from report.run.distribution import Percentiles
    from storage.database import Database
    from storage.records import ChunkTime, DoubtfulImages, FailureCount, ProcessSample, Progress, Run

#: Of the median process's speed: what is below is slow, unless it was busy for less than so many seconds.
SLOW_SHARE = 0.7
_SLOW_LEAST_S = 60.0


@dataclass(frozen=True, kw_only=True)
class RunFigures:
    """What is known of a run."""

    run: Run
    progress: Progress
    times: Spans
    minutes: tuple[MinuteFigures, ...]
    forecast_s: float | None  #: seconds that what is missing will take; None: nothing is, or nothing was labelled
    speed_by_workers: dict[int, float]  #: images per second by how many labelling processes there were
    shares: TimeShares | None
    stages: dict[str, Percentiles]
    parts: tuple[PartFigures, ...]
    stability: Stability
    outcomes: Outcomes
    failures: tuple[FailureCount, ...]
    failing_folders: tuple[FailingFolder, ...]
    doubtful: DoubtfulImages | None  #: None: no labelled image is known to be damaged
    workers: tuple[WorkerFigures, ...]
    answered: int  #: images whose outcome is this run's now
    copied: int  #: images that took the labels of the same bytes, and were read alone
    superseded: int  #: images that a later run has labelled again: their outcomes are that run's now
    last_done_at: datetime | None  #: when the newest chunk was done
    accuracy: Accuracy | None  #: of the run's model; None: no review of it has an answer

    @property
    def labelling_s(self) -> float:
        return self.times.labelling_s

    @property
    def pauses_s(self) -> float:
        return self.times.pauses_s

    @property
    def images_per_second(self) -> float | None:
        """Images with an outcome, by the second of labelling; None before the first chunk."""
        return self.progress.labelled / self.labelling_s if self.labelling_s else None

    @property
    def efficiency(self) -> tuple[int, float] | None:
        """Return the most processes, and their speed as a share of as many times one's; None if one was never alone."""
        return self.efficiency_against(self.speed_by_workers.get(1))

    def efficiency_against(self, alone: float | None) -> tuple[int, float] | None:
        """Return the same against a process that labelled so many images per second alone.

        None if there never were more than one, or no process is known to have been alone.
        """
        workers = max(self.speed_by_workers, default=1)
        return (workers, self.speed_by_workers[workers] / workers / alone) if alone and workers > 1 else None

    @property
    def median_speed(self) -> float:
        """Images per second, while it had a chunk, of the median labelling process; of two, the faster."""
        return median_high(worker.images_per_second for worker in self.workers) if self.workers else 0.0

    @property
    def slow_workers(self) -> list[WorkerFigures]:
        """The processes that are much slower than the median one, the slowest first."""
        slow = [
            worker
            for worker in self.workers
            if worker.busy_s >= _SLOW_LEAST_S and worker.images_per_second < SLOW_SHARE * self.median_speed
        ]
        return sorted(slow, key=lambda worker: worker.images_per_second)


def run_figures(database: Database, run: Run) -> RunFigures:
    """Read a run's figures from the tables, the outcomes' numbers in one pass; beside it, what indexes tell."""
    labels = beside(partial(label_sums, database, run))
    kinds = beside(partial(kind_counts, database, run))
    same = beside(lambda: duplicates(copies(database, run.id)))
    chunks = chunk_times(database, run.id)
    times = spans(chunks)
    minutes = by_minute(chunks, times)
    state = progress(database, run.id)
    counter, stages = OutcomeCounter(), StageTimes(chunks)
    for page in outcome_pages(database, run.id):
        counter.add(page)
        stages.add(page)
    steadiness = stability(chunks, minutes, times, _samples(database, chunks, times))
    workers = worker_figures(database, chunks, times)
    superseded = max(0, state.labelled - counter.images)
    return RunFigures(
        run=run,
        progress=state,
        times=times,
        minutes=minutes,
        forecast_s=forecast_s(state, chunks, times),
        speed_by_workers=speed_by_workers(chunks, minutes),
        # Of superseded images, the times in each stage are gone.
        shares=None if superseded else time_shares(workers, stages, steadiness.store_s),
        stages=stages.overall(),
        parts=tuple(stages.parts()),
        stability=steadiness,
        outcomes=counter.outcomes(labels.result(), kinds.result(), same.result()),
        failures=tuple(failures_by_kind(database, run.id)),
        failing_folders=tuple(failing_folders(database, run)) if state.failed >= FAILING_FOLDER_IMAGES else (),
        doubtful=doubtful_images(database, run.id),
        workers=workers,
        answered=counter.images,
        copied=counter.copied,
        superseded=superseded,
        last_done_at=chunks[-1].done_at if chunks else None,
        accuracy=accuracy(review_answers(database, run.model_id)),
    )


def _samples(database: Database, chunks: Sequence[ChunkTime], times: Spans) -> Iterable[ProcessSample]:
    """Return what the labelling processes, and the main processes above them, held and used during the run."""
    if not chunks:
        return ()
    names = sorted({chunk.worker for chunk in chunks})
    mains = {name.rpartition("/")[0] for name in names} - {""}
    return process_samples(database, [*names, *mains], times.labelling[0][0], chunks[-1].done_at)
