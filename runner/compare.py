"""`nightlabel compare`: measure models side by side, each alone in a process of its own, on the user's own images."""

from __future__ import annotations

import json
import math
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from archive.sample import draw_sample
from archive.scan import find_roots
from common.errors import ArchiveError, ModelError, NightlabelError, UsageError
from common.settings import RANDOM_WEIGHTS
from models.calibrate import can_quantise
from models.catalogue import find_entry
from models.engines import AUTO, choose_engine, needs_calibration
from models.precisions import FP32
from models.resolve import resolve
from models.weights import find_weights
from report.comparison.advice import recommendation
from report.comparison.figures import (
    Candidate,
    Comparison,
    NotMeasured,
    accuracy,
    disagreements,
    right_among,
    soak_figures,
)
from report.words import duration
from runner.calibration import SAMPLE_S, calibrate_on
from runner.own_process import ask_with_settings
from storage.records import shown
from worker.measure import Assignment, measured_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from common.settings import Settings
    from models.catalogue import CatalogueEntry
    from models.ready_model import ReadyModel
    from runner.truth_file import Truth
    from worker.measure import Measured

#: Images that models are compared on; of a larger archive a sample.
IMAGES = 300
#: The same where the truth is known.
IMAGES_WITH_TRUTH = 2000
#: Requests of the long time, at least and at most: all go through memory as JSON. One in two seconds is 302,400 a week.
_LEAST_REQUESTS, MOST_REQUESTS = 2, 500_000
#: What is measured where nothing else is asked for.
USUAL = Assignment()


@dataclass(kw_only=True)
class _Found:
    """What was measured so far, and what could not be."""

    say: Callable[[str], None]
    candidates: list[Candidate] = field(default_factory=list)
    not_measured: list[NotMeasured] = field(default_factory=list)
    error: type[NightlabelError] = ModelError  #: of the last one

    @contextmanager
    def or_why_not(self, name: str) -> Iterator[None]:
        """Say and keep why something cannot be measured: it must not cost what others took hours for."""
        try:
            yield
        except (ModelError, ArchiveError) as error:
            self.error = type(error)
            self.not_measured.append(NotMeasured(name, shown(str(error))))
            self.say(str(self.not_measured[-1]))


def compare(
    settings: Settings,
    paths: Sequence[str],
    models: Sequence[str],
    say: Callable[[str], None],
    *,
    truth: Truth | None = None,
    assignment: Assignment = USUAL,
) -> Comparison:
    """Measure each model in each precision that this machine has, on a sample of the images under these paths.

    With `truth`, on images whose label is known. If the assignment has a `duration_s`, each is then asked for one image
    an interval for so long. Its `paths` and `roots` are filled in here. Ctrl-C ends it with what is measured by then.

    Raises:
        ArchiveError: a path is missing or unreadable, or there is no image, or none that can be labelled.
        KeyboardInterrupt: before anything was measured.
        ModelError: no such model, or none of them can be measured.
        UsageError: the truth names a label that no model has; or what is asked for makes no sense.

    """
    _check(settings, models, truth, assignment)
    entries = {entry.name: entry for entry in (find_entry(name, settings.cache_dir) for name in models)}
    roots = find_roots(paths)
    assignment = replace(assignment, paths=_draw(settings, roots, truth, say), roots=roots)
    # What makes no sense in the truth is said here, not after hours.
    known = {name: _truth(truth, assignment.paths, entry) for name, entry in entries.items()}
    found = _Found(say=say)
    is_complete = True
    try:
        for name, entry in entries.items():
            _measure_all(entry, settings, paths, assignment, known[name], found)
    except KeyboardInterrupt:
        if not found.candidates:
            raise
        say("Interrupted: this is what was measured by then.")
        is_complete = False
    if not found.candidates:
        raise found.error(f"Nothing could be measured. {' '.join(map(str, found.not_measured))}")
    return Comparison(
        images=len(assignment.paths),
        candidates=tuple(found.candidates),
        not_measured=tuple(found.not_measured),
        is_complete=is_complete,
        disagreements=tuple(disagreements(found.candidates, [shown(path) for path in assignment.paths])),
        recommendation=recommendation(
            found.candidates, {name: entry.published_top1 for name, entry in entries.items()}
        ),
    )


def _check(settings: Settings, models: Sequence[str], truth: Truth | None, assignment: Assignment) -> None:
    """Refuse what makes no sense, before anything is measured.

    Raises:
        UsageError: as it says.

    """
    if not models:
        raise UsageError("--models names no model. `nightlabel models` lists them.")
    if assignment.duration_s and assignment.slots < _LEAST_REQUESTS:
        raise UsageError("--duration is not longer than --interval: nothing would be asked for a second time.")
    if assignment.slots > MOST_REQUESTS:
        raise UsageError(
            f"--duration and --interval make {assignment.slots:,} requests; {MOST_REQUESTS:,} is the most. Use a longer"
            " interval."
        )
    if truth and (settings.include or settings.exclude):
        raise UsageError(
            "A truth file names its images itself: use --include and --exclude, or NIGHTLABEL_INCLUDE and"
            " NIGHTLABEL_EXCLUDE, without --truth."
        )


def _draw(settings: Settings, roots: Sequence[str], truth: Truth | None, say: Callable[[str], None]) -> list[str]:
    """Return the paths of the images that all are measured on, the same each time.

    Raises:
        ArchiveError: there is none.

    """
    if truth:
        here = truth.below(roots)
        drawn = draw_sample(here, settings, IMAGES_WITH_TRUTH, math.inf)
        if here and len(here) < len(truth):
            say(f"{len(here):,} of the {len(truth):,} images that the truth file names are here.")
    else:
        drawn = draw_sample(roots, settings, IMAGES, SAMPLE_S)
        for sentence in drawn.counts.sentences():
            say(sentence)
        if not drawn.is_whole:
            say(
                f"Looking for images was cut short after {SAMPLE_S:.0f} s: the sample is of the first {drawn.found:,},"
                " folder by folder."
            )
    if not drawn.refs:
        known = " that the truth file names" if truth else ""
        raise ArchiveError(f"There is no image{known} in {', '.join(map(shown, roots))}.")
    return sorted(ref.path for ref in drawn.refs)


def _truth(truth: Truth | None, paths: Sequence[str], entry: CatalogueEntry) -> list[str | None]:
    """Return the true label of each image, as far as it is known."""
    return [truth.label(path, entry.categories) if truth else None for path in paths]


def _measure_all(
    entry: CatalogueEntry,
    settings: Settings,
    paths: Sequence[str],
    assignment: Assignment,
    truth: Sequence[str | None],
    found: _Found,
) -> None:
    """Measure a model in each precision; one without weights once, with random ones."""
    with found.or_why_not(entry.name):
        own = _with_weights(entry, settings, found.say)
        for precision in _precisions(own, settings.precision):
            way = own.model_copy(update={"precision": precision})
            with found.or_why_not(f"{entry.name}, {precision}"):
                if needs_calibration(precision):
                    found.say(f"{entry.name}: {calibrate_on(way, paths)}.")
                ready = resolve(way)  # converts it here and now, so that its start is measured without that
                long = f", and then for {duration(assignment.duration_s)}" if assignment.duration_s else ""
                found.say(f"Measuring {entry.name}, {precision}{long} …")
                found.candidates.append(_candidate(entry, way, ready, assignment, truth))


def _with_weights(entry: CatalogueEntry, settings: Settings, say: Callable[[str], None]) -> Settings:
    """Return the settings for a model, in fp32: its weights fetched and prepared; with random ones if there are none.

    Raises:
        ModelError: there are some, but they are damaged, or another model's.

    """
    own = settings.model_copy(update={"model": entry.name, "weights": None, "precision": "fp32"})
    try:
        resolve(own)
    except ModelError as error:
        if find_weights(entry, own):
            raise
        say(f"{entry.name} is measured with RANDOM weights. {error}")
        return own.model_copy(update={"weights": RANDOM_WEIGHTS})
    return own


def _precisions(own: Settings, wanted: str) -> Iterator[str]:
    """Yield the precisions to measure: the one that is wanted, or all that this machine has."""
    if own.weights == RANDOM_WEIGHTS:
        wanted = FP32
    if wanted != AUTO:
        yield wanted
        return
    engine = choose_engine(own.engine)
    for precision in engine.precisions:
        can_be_made = precision not in engine.calibrated or can_quantise()
        if can_be_made and engine.why_not(precision) is None:
            yield precision


def _candidate(
    entry: CatalogueEntry, settings: Settings, ready: ReadyModel, assignment: Assignment, truth: Sequence[str | None]
) -> Candidate:
    measured = _measure_apart(settings, assignment)
    is_random = ready.model.is_random
    told: Sequence[str | None] = [None] * len(truth) if is_random else truth  # what is random has no accuracy
    right = right_among(measured.labels, told, 1)
    weights = _weights_file(ready)
    p50, p99 = np.percentile(measured.latency_ms, (50, 99))
    return Candidate(
        model=entry.name,
        precision=settings.precision,
        is_random=is_random,
        parameters=entry.parameters,
        file_mb=weights.stat().st_size / 1e6 if weights else None,
        input_px=entry.preprocessing.crop_size,
        top1=accuracy(right),
        top3=accuracy(right_among(measured.labels, told, 3)),
        latency_mean_ms=mean(measured.latency_ms),
        latency_p50_ms=float(p50),
        latency_p99_ms=float(p99),
        images_per_second=measured.images_per_second,
        load_s=measured.load_s,
        peak_rss_mb=measured.peak_rss_mb,
        cpu_share=measured.cpu_share,
        errors=measured.errors,
        soak=soak_figures(measured.samples, assignment),
        labels=tuple(one[0][0] if one else None for one in measured.labels),
        right=right,
        pid=measured.pid,
    )


def _weights_file(ready: ReadyModel) -> Path | None:
    """Return the file that the weights are in: in int8 another one than was trained."""
    if needs_calibration(ready.model.precision) and ready.prepared:
        return ready.prepared / "model.bin"
    return ready.weights_path


def _measure_apart(settings: Settings, assignment: Assignment) -> Measured:
    """Measure in a fresh process, which no other model has warmed or filled, with these settings and no others.

    Raises:
        ArchiveError: none of the images can be labelled.
        ModelError: the model cannot be loaded, or the process was killed.

    """
    question = json.dumps(asdict(assignment))
    answer = ask_with_settings("worker.measure", str(os.getpid()), question=question, settings=settings)
    return measured_from(json.loads(answer))
