"""The figures of one run, from the tables alone."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median_high
from typing import TYPE_CHECKING

import numpy as np

from report.distribution import Distribution
from report.outcome import OutcomeCounter, Outcomes
from report.stability import Stability, stability
from report.throughput import MinuteFigures, Spans, by_minute, forecast_s, spans, speed_by_workers
from storage.figures import (
    STAGES,
    chunk_times,
    copies,
    doubtful_images,
    failed_images,
    failures_by_kind,
    images_in_folder,
    outcome_pages,
    process_samples,
    worker_samples,
)
from storage.runs import progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from storage.database import Database
    from storage.records import ChunkTime, DoubtfulImages, FailureCount, Percentiles, ProcessSample, Progress, Run

#: Parts of a night that percentiles over time are given for, at most.
MOST_PARTS = 60
#: Seconds that such a part takes at least.
LEAST_PART_S = 60.0
#: Folders that are named for their failures: of so many images at least this share failed.
FAILING_FOLDER_IMAGES = 10
FAILING_FOLDER_SHARE = 0.5
_FOLDERS_SHOWN = 5
#: Folders that are asked for: each takes the database a moment.
_FOLDERS_ASKED = 10
#: Of the middle process's speed: what is below is slow, unless it was busy for less than so many seconds.
SLOW_SHARE = 0.7
_SLOW_LEAST_S = 60.0
#: What the stages are called. The sum leaves out the queue, where an image waits for others.
STAGE_NAMES = {stage: stage for stage in STAGES} | {"total": "read + decode + infer"}


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
        yield "reading and rest", self.other
        yield "waiting", self.wait


@dataclass(frozen=True, kw_only=True)
class PartFigures:
    """A part of the night."""

    begin: datetime
    end: datetime
    stages: dict[str, Percentiles]


@dataclass(frozen=True, kw_only=True)
class FailingFolder:
    """A folder of which most images failed."""

    path: str
    images: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class NightFigures:
    """What is known of a run."""

    run: Run
    progress: Progress
    times: Spans
    minutes: tuple[MinuteFigures, ...]
    forecast_s: float | None  #: seconds that what is missing will take; None: nothing is, or nothing was labelled
    speed_by_workers: dict[int, float]  #: images a second by how many labelling processes there were
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
    taken_over: int  #: images that a later run has labelled anew: their outcomes are that run's now
    last_done_at: datetime | None  #: when the newest chunk was done

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
        """Return the same against a process that labelled so many images a second alone; None if there never were more.

        Also None if no process is known to have been alone.
        """
        workers = max(self.speed_by_workers, default=1)
        return (workers, self.speed_by_workers[workers] / workers / alone) if alone and workers > 1 else None

    @property
    def usual_speed(self) -> float:
        """Images a second, while it had a chunk, of the middle one of the labelling processes; of two, the faster."""
        return median_high(worker.images_per_second for worker in self.workers) if self.workers else 0.0

    @property
    def slow_workers(self) -> list[WorkerFigures]:
        """The processes that are much slower than the middle one of all, the slowest first."""
        slow = [
            worker
            for worker in self.workers
            if worker.busy_s >= _SLOW_LEAST_S and worker.images_per_second < SLOW_SHARE * self.usual_speed
        ]
        return sorted(slow, key=lambda worker: worker.images_per_second)


def night_figures(database: Database, run: Run) -> NightFigures:
    """Read a run's figures from the tables."""
    chunks = chunk_times(database, run.id)
    times = spans(chunks)
    minutes = by_minute(chunks, times)
    state = progress(database, run.id)
    counter = OutcomeCounter()
    stages, edges = _distributions(database, run, chunks, counter)
    names = sorted({chunk.worker for chunk in chunks})
    samples: Iterable[ProcessSample] = ()
    if chunks:
        mains = {name.rpartition("/")[0] for name in names} - {""}
        samples = process_samples(database, [*names, *mains], times.labelling[0][0], chunks[-1].done_at)
    steady = stability(chunks, minutes, times, samples)
    workers = tuple(_workers(database, chunks, times))
    taken_over = max(0, state.labelled - counter.images)
    return NightFigures(
        run=run,
        progress=state,
        times=times,
        minutes=minutes,
        forecast_s=forecast_s(state, chunks, times),
        speed_by_workers=speed_by_workers(chunks, minutes),
        shares=None if taken_over else _shares(workers, stages, steady),
        stages={stage: figures for stage, one in stages.items() if (figures := one.overall())},
        parts=tuple(_parts(stages, edges)),
        stability=steady,
        outcomes=counter.outcomes(copies(database, run.id)),
        failures=tuple(failures_by_kind(database, run.id)),
        failing_folders=tuple(_failing_folders(database, run)) if state.failed >= FAILING_FOLDER_IMAGES else (),
        doubtful=doubtful_images(database, run.id),
        workers=workers,
        answered=counter.images,
        taken_over=taken_over,
        last_done_at=chunks[-1].done_at if chunks else None,
    )


def _distributions(
    database: Database, run: Run, chunks: Sequence[ChunkTime], counter: OutcomeCounter
) -> tuple[dict[str, Distribution], list[datetime]]:
    """Count each stage's times by part of the night, in one reading of the outcomes, which the `counter` sees too."""
    pages = outcome_pages(database, run.id)
    if not chunks:
        for page in pages:
            counter.add(page)
        return {}, []
    begin, end = min(chunk.started_at for chunk in chunks).timestamp(), chunks[-1].done_at.timestamp()
    parts = int(np.clip((end - begin) // LEAST_PART_S, 1, MOST_PARTS))
    edges = np.linspace(begin, end, parts + 1)
    ids = np.array([chunk.chunk_id for chunk in chunks])
    ends = np.array([chunk.done_at.timestamp() for chunk in chunks])
    order = np.argsort(ids)
    ids, part_of = ids[order], np.clip(np.searchsorted(edges, ends[order]) - 1, 0, parts - 1)
    stages = {stage: Distribution(parts) for stage in STAGES}
    for page in pages:
        counter.add(page)
        # Of a chunk that is not done yet, some images may be: they count with the part that is next to come.
        part = part_of[np.minimum(np.searchsorted(ids, page.chunk_id), len(ids) - 1)]
        for stage, ms in page.stages_ms.items():
            stages[stage].add(part, ms)
    return stages, [datetime.fromtimestamp(edge, UTC) for edge in edges]


def _parts(stages: Mapping[str, Distribution], edges: Sequence[datetime]) -> Iterator[PartFigures]:
    by_stage = {stage: one.by_part() for stage, one in stages.items()}
    for part, (begin, end) in enumerate(pairwise(edges)):
        figures = {stage: found for stage, parts in by_stage.items() if (found := parts[part])}
        if figures:
            yield PartFigures(begin=begin, end=end, stages=figures)


def _shares(
    workers: Sequence[WorkerFigures], stages: Mapping[str, Distribution], steady: Stability
) -> TimeShares | None:
    wall_s, busy_s = sum(worker.wall_s for worker in workers), sum(worker.busy_s for worker in workers)
    if not wall_s:
        return None
    decode_s, infer_s = (stages[stage].total_ms / 1000 for stage in ("decode", "infer"))
    known_s = [process.store_s for process in steady.processes if process.store_s is not None]
    store_s = sum(known_s)
    other_s = max(0.0, busy_s - decode_s - infer_s)
    wait_s = max(0.0, wall_s - busy_s - store_s)
    whole_s = decode_s + infer_s + store_s + other_s + wait_s
    return TimeShares(
        decode=decode_s / whole_s,
        infer=infer_s / whole_s,
        store=store_s / whole_s if known_s else None,
        other=other_s / whole_s,
        wait=wait_s / whole_s,
    )


def _workers(database: Database, chunks: Sequence[ChunkTime], times: Spans) -> Iterator[WorkerFigures]:
    by_worker: dict[str, list[ChunkTime]] = defaultdict(list)
    for chunk in chunks:
        by_worker[chunk.worker].append(chunk)
    samples = {sample.name: sample for sample in worker_samples(database, list(by_worker))}
    for name, own in sorted(by_worker.items()):
        sample = samples.get(name)
        yield WorkerFigures(
            name=name,
            images=sum(chunk.images for chunk in own),
            failed=sum(chunk.failed for chunk in own),
            busy_s=sum((chunk.done_at - chunk.started_at).total_seconds() for chunk in own),
            wall_s=times.overlap_s(min(chunk.started_at for chunk in own), own[-1].done_at),
            rss_mb=sample.rss_bytes / 1e6 if sample else None,
            peak_rss_mb=sample.peak_rss_bytes / 1e6 if sample else None,
        )


def _failing_folders(database: Database, run: Run) -> Iterator[FailingFolder]:
    """Yield the folders of which most images failed, those with the most failures first."""
    found = 0
    for folder, failed in _suspect_folders(failed_images(database, run.id))[:_FOLDERS_ASKED]:
        images = images_in_folder(database, run.id, folder)
        if failed >= FAILING_FOLDER_SHARE * images:
            found += 1
            yield FailingFolder(path=folder, images=images, failed=failed)
        if found == _FOLDERS_SHOWN:
            return


def _suspect_folders(failed: Iterable[tuple[int, str]]) -> list[tuple[str, int]]:
    """Return the folders in which enough of these images lie, and how many, the likeliest to have failed first.

    A folder's images were found together, and have ids that follow each other. So a large folder of which few failed,
    though they are many, does not stand before a small one that failed whole.
    """
    seen: dict[str, tuple[int, int, int]] = {}  # how many failed, and the lowest and the highest of their ids
    for image_id, path in failed:
        folder = os.path.dirname(path)
        count, lowest, highest = seen.get(folder, (0, image_id, image_id))
        seen[folder] = count + 1, min(lowest, image_id), max(highest, image_id)
    suspects = [
        (count < FAILING_FOLDER_SHARE * (highest - lowest + 1), -count, folder)
        for folder, (count, lowest, highest) in seen.items()
        if count >= FAILING_FOLDER_IMAGES
    ]
    return [(folder, -count) for _, count, folder in sorted(suspects)]
