"""Measure one model alone: how fast it starts and answers, how much memory it takes, and how it fares in a soak.

Run as a process of its own, `python -P -m worker.measure PARENT`, so that no other model's memory or threads count: it
ends with its parent, whose process id it is given. It reads an `Assignment` as JSON from its standard input and writes
a `Measured` to its standard output; the settings are its environment. Where it cannot, it ends with the error's exit
status and a sentence on standard error.
"""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import asdict, dataclass, field, fields
from time import monotonic, perf_counter, process_time, sleep
from typing import TYPE_CHECKING, Any, TextIO

import psutil

from common.child_process import die_with_parent
from common.errors import ArchiveError, NightlabelError
from common.settings import load_settings
from host.memory import peak_rss_bytes
from models.engines import check_names
from storage.records import ChunkImage
from worker.single_thread import use_single_thread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from common.settings import Settings
    from storage.records import Outcome
    from worker.labelling import Labeller

#: Images that are labelled together while throughput is taken: as in a chunk.
_CHUNK = 64
#: Shares of an interval by which a division of two times may be wrong.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What to measure a model on, and for how long."""

    paths: Sequence[str] = ()
    roots: Sequence[str] = ()
    latency_requests: int = 200  #: at least; a small sample is labelled again and again
    throughput_s: float = 5.0  #: at least: the chunk that is in work then is done first
    duration_s: float = 0.0  #: of the soak, with one request per interval; 0: none
    interval_s: float = 2.0

    @property
    def slots(self) -> int:
        """Count the requests of the soak: at the beginning, and after each interval that ends in time."""
        return math.ceil(self.duration_s / self.interval_s - _ROUNDING)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One request of the soak."""

    at_s: float  #: since its beginning
    ms: float
    rss_mb: float
    cpu_s: float  #: CPU time that the process had used by then
    ok: bool


@dataclass(kw_only=True)
class Measured:
    """What was measured. Latency and soak: one image per request, on one thread."""

    pid: int  #: of the process that measured
    #: Seconds from a started Python with its settings read to the first image's outcome: importing decoders and engine,
    #: hashing the weights and the prepared model, loading it, and that image. Downloading and converting are not in it.
    load_s: float
    #: Read, decoded, resized and classified; of the images that could be labelled.
    latency_ms: list[float] = field(default_factory=list)
    labels: list[list[tuple[str, float]]] = field(default_factory=list)  #: per image, best first; none: it failed
    errors: int = 0  #: images that failed
    cpu_share: float = 0.0  #: of one CPU while latency was taken, 0…1
    peak_rss_mb: float = 0.0  #: with the model loaded once, one image at a time
    images_per_second: float = 0.0  #: on one thread, in chunks and batches
    samples: list[Sample] = field(default_factory=list)  #: of the soak


def measure(assignment: Assignment, settings: Settings) -> Measured:
    """Measure the configured model on the assignment's images.

    Raises:
        ArchiveError: none of the images can be labelled.
        ModelError: the model cannot be loaded.

    """
    begun = perf_counter()
    labeller = _labeller(settings.model_copy(update={"batch_size": 1}))
    images = [ChunkImage(number, path) for number, path in enumerate(assignment.paths)]
    labeller.label(images[:1], assignment.roots)
    measured = Measured(pid=os.getpid(), load_s=perf_counter() - begun)
    labelled = _measure_latency(measured, labeller, images, assignment)
    rows = _soak(labeller, labelled, assignment)
    measured.peak_rss_mb = peak_rss_bytes() / 1e6  # before the same model is loaded a second time
    measured.samples = _samples(rows)
    measured.images_per_second = _measure_throughput(_labeller(settings), labelled, assignment)
    return measured


def _labeller(settings: Settings) -> Labeller:
    from models.resolve import resolve
    from worker.labelling import Labeller

    return Labeller(resolve(settings), settings)


def _measure_latency(
    measured: Measured, labeller: Labeller, images: Sequence[ChunkImage], assignment: Assignment
) -> list[ChunkImage]:
    """Label each image once, and those that can be labelled again until there are enough; return these.

    Raises:
        ArchiveError: there are none.

    """
    begun, used = perf_counter(), process_time()
    labelled = []
    why = None
    for image in images:
        outcome, ms = _label_one(labeller, image, assignment.roots)
        measured.labels.append(list(outcome.labels))
        if outcome.ok:
            labelled.append(image)
            measured.latency_ms.append(ms)
        else:
            why = outcome.error
    if not labelled:
        raise ArchiveError(f"None of the {len(images):,} images could be labelled; of the last one: {why}.")
    measured.errors = len(images) - len(labelled)
    while len(measured.latency_ms) < assignment.latency_requests:
        measured.latency_ms += [_label_one(labeller, image, assignment.roots)[1] for image in labelled]
    measured.cpu_share = (process_time() - used) / (perf_counter() - begun)
    return labelled


def _soak(labeller: Labeller, images: Sequence[ChunkImage], assignment: Assignment) -> NDArray[np.float64]:
    """Label one image per interval; return one row per request, with the fields of a `Sample`: float64 `[requests, 5]`.

    Args:
        labeller: the warm model.
        images: those that it could label before, so that an error is the model's, not an image's.
        assignment: for how long.

    """
    import numpy as np  # not before `use_single_thread`

    process = psutil.Process()
    # All rows are written here, before the first request: they must not look as if the model's memory grew.
    rows = np.full((assignment.slots, len(fields(Sample))), np.nan)
    asked = 0
    for at_s in _due(assignment):
        outcome, ms = _label_one(labeller, images[asked % len(images)], assignment.roots)
        rows[asked] = (at_s, ms, process.memory_info().rss / 1e6, process_time(), outcome.ok)
        asked += 1
    return rows[:asked]


def _due(assignment: Assignment) -> Iterator[float]:
    """Sleep until each request is due, and yield the seconds since the beginning.

    Those that come due while another one is in work, or while the machine pauses, are left out, not made up for: a
    burst of requests is not what is to be measured. None starts after the duration.
    """
    begun = monotonic()
    slot = 0
    while slot < assignment.slots:
        sleep(max(0.0, begun + slot * assignment.interval_s - monotonic()))
        at_s = monotonic() - begun
        if at_s >= assignment.duration_s:
            return
        yield at_s
        slot = max(slot + 1, math.ceil((monotonic() - begun) / assignment.interval_s))


def _samples(rows: NDArray[np.float64]) -> list[Sample]:
    return [
        Sample(at_s=at_s, ms=ms, rss_mb=rss_mb, cpu_s=cpu_s, ok=bool(ok))
        for at_s, ms, rss_mb, cpu_s, ok in rows.tolist()
    ]


def _measure_throughput(labeller: Labeller, images: Sequence[ChunkImage], assignment: Assignment) -> float:
    labelled = 0
    begun = perf_counter()
    for chunk in _chunks(images):
        labelled += len(labeller.label(chunk, assignment.roots))
        if perf_counter() - begun >= assignment.throughput_s:
            break
    return labelled / (perf_counter() - begun)


def _chunks(images: Sequence[ChunkImage]) -> Iterator[Sequence[ChunkImage]]:
    """Yield chunks of the images, over and over."""
    while True:
        for start in range(0, len(images), _CHUNK):
            yield images[start : start + _CHUNK]


def _label_one(labeller: Labeller, image: ChunkImage, roots: Sequence[str]) -> tuple[Outcome, float]:
    started = perf_counter()
    (outcome,) = labeller.label([image], roots)
    return outcome, (perf_counter() - started) * 1000


def measured_from(document: dict[str, Any]) -> Measured:
    """Return what `asdict` was written from."""
    labels = [[(label, score) for label, score in labels] for labels in document["labels"]]
    return Measured(**document | {"labels": labels, "samples": [Sample(**one) for one in document["samples"]]})


def _take_over_stdout() -> TextIO:
    """Return what standard output was; what libraries print there from now on goes to standard error."""
    stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return stdout


def main() -> int:
    """Measure what standard input asks for; return the exit status."""
    stdout = _take_over_stdout()
    use_single_thread()  # as a worker does
    try:
        settings = load_settings()
        check_names(settings)
        measured = measure(Assignment(**json.load(sys.stdin)), settings)
    except NightlabelError as error:
        print(_in_a_line(error), file=sys.stderr)  # noqa: T201 - the parent process shows the last line
        return error.exit_status
    except Exception as error:  # noqa: BLE001 - as above; what OpenVINO and torch raise has no common root
        print(f"{type(error).__name__}: {_in_a_line(error)}", file=sys.stderr)  # noqa: T201
        return 1
    json.dump(asdict(measured), stdout)
    stdout.close()
    return 0


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    sys.exit(main())
