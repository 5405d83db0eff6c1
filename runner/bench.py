"""How fast this machine labels these photos, where the time goes, and how long all of them will take."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import numpy as np

from archive.failures import ImageError
from archive.reading import Reader
from archive.sample import draw_sample
from archive.scan import find_roots
from common.errors import ArchiveError, ModelError
from host.machine import available_cpus, worker_count
from host.private_folder import private_folder
from models.engines import all_precisions, needs_calibration
from models.precisions import CASCADE
from models.resolve import resolve
from pictures.decoding import decode
from producer.enqueue import write_manifest
from producer.manifest_writer import ManifestWriter
from runner.advice import advise, cascade_for
from runner.calibration import calibrate_on
from runner.display import Silent
from runner.inference_speed import inference_speed
from runner.run import OpenedRun, follow_run
from storage.database import Database
from storage.figures import chunk_times, mean_stages, worker_samples
from storage.records import shown
from storage.runs import COMPUTE_ALL, open_run, progress
from storage.schema_version import ensure_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from archive.sample import Sample
    from common.settings import Settings
    from models.ready_model import ReadyModel
    from runner.advice import Advice
    from storage.records import ImageRef, JsonObject, Run

#: Together they keep a bench to about a minute, starts and stops of workers included.
SCAN_S = 10.0
DECODING_S = 4.0
INFERENCE_S = 2.0
SYSTEM_S = 24.0
#: Images that are drawn from the archive. Each is read by one measurement, as long as there are enough of them: a
#: second one would find it in the system's memory, where the night will not.
SAMPLE_IMAGES = 8000
#: Decoded images that inference is timed on, over and over.
_VIEWS = 64
#: Fewer images than this in a run, and starting and ending weigh more than labelling.
_LEAST_IMAGES = 64


@dataclass(frozen=True, kw_only=True)
class SystemSpeed:
    """The whole system with so many workers: queue, database and all."""

    precision: str
    workers: int
    images: int
    images_per_second: float
    worker_rss_mb: float
    #: Shares of a worker's time, 0…1; what is left of 1 is reading that had to be waited for, queue, database, Python.
    decode_share: float
    infer_share: float


@dataclass(kw_only=True)
class Bench:
    """What was measured. Speeds are images a second; of one core, where nothing else is said."""

    model: str
    engine: str
    images: int = 0  #: found in the archive
    is_whole: bool = True  #: all of it was scanned
    scan_s: float = 0.0
    sampled: int = 0  #: images that were read and decoded one by one
    unlabelled: int = 0  #: of those, how many could not be decoded
    mean_megapixels: float = 0.0
    mean_megabytes: float = 0.0
    read_ms: float = 0.0
    decode_ms: float = 0.0
    inference: dict[str, float | str] = field(default_factory=dict)  #: by precision; or why there is none
    system: list[SystemSpeed] = field(default_factory=list)  #: in the configured precision
    cascade: SystemSpeed | None = None  #: with as many workers as the last of those; None: it cannot be had here
    advice: Advice | None = None  #: None: there is nothing to choose

    @property
    def best(self) -> SystemSpeed:
        return max(self.system, key=lambda speed: speed.images_per_second)

    @property
    def forecast_s(self) -> float:
        """Seconds that labelling what was found will take."""
        return self.images / self.best.images_per_second

    def as_json(self) -> JsonObject:
        speeds = {name: None if isinstance(speed, str) else speed for name, speed in self.inference.items()}
        advice = self.advice and asdict(self.advice) | {"precision": self.advice.precision}
        return asdict(self) | {"inference": speeds, "advice": advice, "forecast_s": self.forecast_s}


class BenchDisplay(Protocol):
    """Who is told each figure as soon as it is there."""

    def archive(self, measured: Bench, roots: Sequence[str]) -> None:
        """Show what was found: `images`, `is_whole`, `scan_s`."""

    def decoding(self, measured: Bench) -> None:
        """Show what one image takes on one core: `sampled` to `decode_ms`."""

    def inference(self, precision: str, speed: float | str) -> None:
        """Show the images a second of one core in a precision; or why there is none."""

    def system(self, speed: SystemSpeed) -> None:
        """Show the whole system, in a precision and with so many workers."""

    def note(self, sentence: str) -> None:
        """Say what a person should know."""


def bench(settings: Settings, paths: Sequence[str], display: BenchDisplay) -> Bench:
    """Measure on a sample of the images under these paths.

    Nothing is kept: the labels go into a database that is removed at the end.

    Raises:
        ArchiveError: a path is missing or unreadable, or there is no image.
        ModelError: no such model, or its weights are missing or damaged.

    """
    if needs_calibration(settings.precision):
        display.note(f"{settings.model}: {calibrate_on(settings, paths)}.")
    roots = find_roots(paths)
    ready = resolve(settings)
    measured = Bench(model=str(ready.model), engine=ready.engine)
    drawn = _draw(measured, roots, settings)
    display.archive(measured, roots)
    for sentence in drawn.counts.sentences():
        display.note(sentence)
    source = _endless(drawn.refs)
    views = _time_decoding(measured, source, roots, ready, settings)
    display.decoding(measured)
    calibrated = cascade_for(ready, settings, paths, display.note)
    for precision in all_precisions():
        measured.inference[precision] = _time_inference(precision, views, settings)
        display.inference(precision, measured.inference[precision])
    counts = _worker_counts(worker_count(settings) or available_cpus())
    seconds = SYSTEM_S / (len(counts) + (calibrated is not None))
    for workers in counts:
        measured.system.append(_time_system(workers, seconds, measured, source, roots, ready, settings, display))
        display.system(measured.system[-1])
    if calibrated:
        own = settings.model_copy(update={"precision": CASCADE})
        measured.cascade = _time_system(counts[-1], seconds, measured, source, roots, resolve(own), own, display)
        display.system(measured.cascade)
        usual, cascade = (1000 / speed.images_per_second for speed in (measured.system[-1], measured.cascade))
        measured.advice = advise(ready.model.precision, usual, cascade, calibrated)
    return measured


def _draw(measured: Bench, roots: Sequence[str], settings: Settings) -> Sample:
    begun = perf_counter()
    drawn = draw_sample(roots, settings, SAMPLE_IMAGES, SCAN_S)
    measured.images, measured.is_whole, measured.scan_s = drawn.found, drawn.is_whole, perf_counter() - begun
    if not drawn.refs:
        raise ArchiveError(f"There is no image in {', '.join(map(shown, roots))}.")
    return drawn


def _endless(refs: Sequence[ImageRef]) -> Iterator[ImageRef]:
    """Yield the images; and again, under other spellings of their paths, since a manifest holds a path once."""
    for lap in itertools.count():
        for ref in refs:
            path = Path(ref.path)
            yield ref._replace(path=f"{path.parent}/{'./' * lap}{path.name}")


def _time_decoding(
    measured: Bench, source: Iterator[ImageRef], roots: Sequence[str], ready: ReadyModel, settings: Settings
) -> NDArray[np.uint8]:
    """Read and decode images one by one; return what the model would see of the last ones, uint8 `[N, H, W, 3]`."""
    views: deque[NDArray[np.uint8]] = deque(maxlen=_VIEWS)
    read_ms = decode_ms = pixels = size = 0.0
    reader = Reader(settings.max_file_bytes, settings.silent_s)
    begun = perf_counter()
    while perf_counter() - begun < DECODING_S or not views:
        measured.sampled += 1
        try:
            file = reader.read(next(source).path, roots)
            started = perf_counter()
            picture = decode(file.data, ready.model.preprocessing, settings.max_pixels)
        except ImageError as error:
            measured.unlabelled += 1
            if not views and perf_counter() - begun > DECODING_S:
                raise ArchiveError(f"None of {measured.sampled} images could be decoded; the last: {error}.") from None
            continue
        decode_ms += (perf_counter() - started) * 1000
        read_ms += file.read_ms
        pixels += picture.width * picture.height
        size += file.size
        views.append(picture.pixels)
    decoded = measured.sampled - measured.unlabelled
    measured.read_ms, measured.decode_ms = read_ms / decoded, decode_ms / decoded
    measured.mean_megapixels, measured.mean_megabytes = pixels / decoded / 1e6, size / decoded / 1e6
    return np.stack(views)


def _time_inference(precision: str, views: NDArray[np.uint8], settings: Settings) -> float | str:
    """Return the images a second that one core classifies; or why it does not, in this precision."""
    try:
        return inference_speed(settings.model_copy(update={"precision": precision}), views, INFERENCE_S)
    except ModelError as error:
        return str(error)


def _worker_counts(most: int) -> list[int]:
    """Return 1, 2, 4, … and the number that a run would use."""
    doubled = itertools.takewhile(lambda count: count < most, (2**power for power in itertools.count()))
    return [*doubled, most]


def _time_system(
    workers: int,
    seconds: float,
    measured: Bench,
    source: Iterator[ImageRef],
    roots: Sequence[str],
    ready: ReadyModel,
    settings: Settings,
    display: BenchDisplay,
) -> SystemSpeed:
    """Label as many images as are likely to take these seconds."""
    per_second = measured.inference.get(ready.model.precision)
    infer_ms = 1000 / per_second if isinstance(per_second, float) else 0.0
    images = max(_LEAST_IMAGES, int(workers * seconds * 1000 / (measured.decode_ms + infer_ms)))
    refs = list(itertools.islice(source, images))
    with private_folder() as folder:
        own = settings.model_copy(
            update={"database_url": f"sqlite:///{folder}/bench.db", "broker_url": None, "workers": workers}
        )
        database = Database(own.database_url)
        ensure_schema(database)
        run, is_new = open_run(database, ready.model, engine=ready.engine, roots=roots, filters=COMPUTE_ALL)
        writer = ManifestWriter(partial(write_manifest, database, run, own, refs=refs))
        follow_run(own, database, OpenedRun(run=run, is_new=is_new, manifest=writer), _OnlyNotes(display))
        speed = _system_speed(database, run, workers)
        database.close()
    return speed


def _system_speed(database: Database, run: Run, workers: int) -> SystemSpeed:
    """Add up the workers' speeds, each over its own time: at the end of so short a run, some have nothing to do."""
    images: dict[str, int] = defaultdict(int)
    first: dict[str, datetime] = {}
    last: dict[str, datetime] = {}
    for chunk in chunk_times(database, run.id):
        images[chunk.worker] += chunk.images
        first.setdefault(chunk.worker, chunk.started_at)
        last[chunk.worker] = chunk.done_at
    seconds = {name: (last[name] - first[name]).total_seconds() for name in images}
    stages = mean_stages(database, run.id)
    labelled = progress(database, run.id).ok
    samples = worker_samples(database, list(images))
    busy_ms = sum(seconds.values()) * 1000
    return SystemSpeed(
        precision=run.model.precision,
        workers=workers,
        images=sum(images.values()),
        images_per_second=sum(images[name] / seconds[name] for name in images),
        worker_rss_mb=max((one.rss_bytes for one in samples), default=0) / 1e6,
        decode_share=labelled * stages.get("decode", 0.0) / busy_ms,
        infer_share=labelled * stages.get("infer", 0.0) / busy_ms,
    )


class _OnlyNotes(Silent):
    """A display for runs whose progress is nobody's concern; what goes wrong in them is."""

    def __init__(self, display: BenchDisplay) -> None:
        self._display = display

    def note(self, sentence: str) -> None:
        self._display.note(sentence)
