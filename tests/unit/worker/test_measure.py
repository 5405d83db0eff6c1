"""Measuring one model alone: when it is asked, what counts, and what its process tells the one that started it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from common.errors import ArchiveError
from common.settings import as_environment
from models.catalogue import catalogue_path, find_entry
from storage.records import ChunkImage, Outcome
from tests.processes import in_a_process
from worker.measure import Assignment, Measured, Sample, _due, _measure_latency, _samples, _soak, measured_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from common.settings import Settings
    from worker.labelling import Labeller

IMAGES = [ChunkImage(number, f"/photos/{number}.jpg") for number in range(3)]


class Clock:
    """Time that passes only while somebody sleeps or works."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleeps = 0
        self.pauses: dict[int, float] = {}  # seconds that a sleep takes longer, by its number

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self.pauses.get(self.sleeps, 0.0)
        self.sleeps += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("worker.measure.monotonic", lambda: clock.now)
    monkeypatch.setattr("worker.measure.sleep", clock.sleep)
    return clock


class Answering:
    """Stands for a warm model: it labels every image but the broken ones."""

    def __init__(self, broken: Sequence[int] = ()) -> None:
        self.broken = broken
        self.asked: list[int] = []

    def label(self, images: Sequence[ChunkImage], _roots: Sequence[str]) -> list[Outcome]:
        self.asked += [image.image_id for image in images]
        return [
            Outcome(image_id=image.image_id, error_kind="truncated", error="it ends too early")
            if image.image_id in self.broken
            else Outcome(image_id=image.image_id, labels=(("tabby", 1.0),))
            for image in images
        ]


class Watching:
    """Stands for a warm model, and sees how much memory Python's objects hold when it is asked."""

    def __init__(self) -> None:
        self.first = self.last = self.requests = 0

    def label(self, images: Sequence[ChunkImage], _roots: Sequence[str]) -> list[Outcome]:
        self.last = tracemalloc.get_traced_memory()[0]
        self.requests += 1
        if self.requests == 10:  # by then, all that is made once is made
            self.first = self.last
        return [Outcome(image_id=image.image_id) for image in images]


def as_labeller(stand_in: Answering | Watching) -> Labeller:
    return cast("Labeller", stand_in)


def due(clock: Clock, assignment: Assignment, takes_s: Mapping[int, float]) -> list[float]:
    """Return when requests begin of which some take long, by number; the others take a twentieth of a second."""
    begun = []
    for number, at_s in enumerate(_due(assignment)):
        begun.append(round(at_s, 3))
        clock.now += takes_s.get(number, 0.05)
    return begun


@pytest.mark.parametrize(
    ("duration_s", "interval_s", "slots"),
    [(0, 2, 0), (10, 2, 5), (3600, 2, 1800), (0.3, 0.1, 3), (25, 10, 3), (2, 2, 1)],
)
def test_a_request_is_due_at_the_beginning_and_after_each_interval(
    duration_s: float, interval_s: float, slots: int
) -> None:
    assert Assignment(duration_s=duration_s, interval_s=interval_s).slots == slots


def test_a_request_begins_each_interval(clock: Clock) -> None:
    assert due(clock, Assignment(duration_s=10, interval_s=2), {}) == [0, 2, 4, 6, 8]


def test_one_that_takes_all_of_its_interval_delays_none(clock: Clock) -> None:
    assert due(clock, Assignment(duration_s=10, interval_s=2), {1: 2.0}) == [0, 2, 4, 6, 8]


def test_what_came_due_during_a_long_request_is_not_made_up_for(clock: Clock) -> None:
    assert due(clock, Assignment(duration_s=10, interval_s=2), {1: 5.0}) == [0, 2, 8]


def test_what_came_due_while_the_machine_paused_is_not_made_up_for(clock: Clock) -> None:
    clock.pauses = {2: 4.5}
    assert due(clock, Assignment(duration_s=14, interval_s=2), {}) == [0, 2, 8.5, 10, 12]


def test_nothing_begins_after_the_duration(clock: Clock) -> None:
    clock.pauses = {3: 100.0}
    assert due(clock, Assignment(duration_s=10, interval_s=2), {}) == [0, 2, 4]
    clock.pauses = {}
    assert due(clock, Assignment(duration_s=10, interval_s=2), {0: 3.0, 1: 3.0, 2: 3.0, 3: 3.0}) == [0, 4, 8]


def test_an_image_that_cannot_be_labelled_is_asked_for_once() -> None:
    answering = Answering(broken=[1])
    measured = Measured(pid=1, load_s=1.0)

    labelled = _measure_latency(measured, as_labeller(answering), IMAGES, Assignment(latency_requests=7))

    assert [image.image_id for image in labelled] == [0, 2]
    assert answering.asked == [0, 1, 2, *[0, 2] * 3]
    assert (measured.errors, len(measured.latency_ms)) == (1, 8)
    assert measured.labels == [[("tabby", 1.0)], [], [("tabby", 1.0)]]


def test_where_no_image_can_be_labelled_the_archive_is_to_blame() -> None:
    with pytest.raises(ArchiveError, match=r"^None of the 3 images could be labelled; of the last one: it ends too ea"):
        _measure_latency(Measured(pid=1, load_s=1.0), as_labeller(Answering(range(3))), IMAGES, Assignment())


def test_the_long_time_asks_for_one_image_after_the_other(clock: Clock) -> None:
    answering = Answering(broken=[2])
    rows = _soak(as_labeller(answering), IMAGES, Assignment(duration_s=10, interval_s=2))

    assert answering.asked == [0, 1, 2, 0, 1]
    assert [sample.ok for sample in _samples(rows)] == [True, True, False, True, True]
    assert [round(sample.at_s) for sample in _samples(rows)] == [0, 2, 4, 6, 8]


def test_what_is_noted_of_a_long_time_does_not_look_like_a_leak(clock: Clock) -> None:
    """Five hundred records on Python's heap are more than 100 kB."""
    watching = Watching()
    tracemalloc.start()
    try:
        _soak(as_labeller(watching), IMAGES, Assignment(duration_s=1000, interval_s=2))
    finally:
        tracemalloc.stop()

    assert watching.requests == 500
    assert watching.last - watching.first < 20_000


def test_what_was_measured_travels_as_json() -> None:
    measured = Measured(
        pid=7,
        load_s=1.0,
        labels=[[("tabby", 0.5), ("pug", 0.25)], []],
        samples=[Sample(at_s=0.0, ms=5.0, rss_mb=200.0, cpu_s=1.0, ok=True)],
    )
    assert measured_from(json.loads(json.dumps(asdict(measured)))) == measured


def test_no_engine_is_imported_before_it_is_told_to_keep_to_one_core() -> None:
    code = "import json, sys, worker.measure; print(json.dumps(list(sys.modules)))"
    assert {"numpy", "openvino", "torch"} & set(in_a_process(code)) == set()


def test_the_environment_may_ask_for_other_numbers_of_threads() -> None:
    code = """
import json, os
from worker.single_thread import THREAD_COUNT_VARIABLES, use_single_thread
for name in THREAD_COUNT_VARIABLES:
    os.environ.pop(name, None)
os.environ[THREAD_COUNT_VARIABLES[0]] = "3"
use_single_thread()
print(json.dumps([os.environ[name] for name in THREAD_COUNT_VARIABLES]))
"""
    assert in_a_process(code) == ["3", "1", "1"]


def test_what_libraries_print_does_not_mix_with_the_answer() -> None:
    code = """
import os, sys
import worker.measure
def measure(assignment, settings):
    print("from Python")
    os.write(1, b"from C\\n")
    return worker.measure.Measured(pid=1, load_s=float(len(assignment.paths)))
worker.measure.measure = measure
sys.exit(worker.measure.main())
"""
    asked = json.dumps(asdict(Assignment(paths=["1.jpg", "2.jpg"])))
    done = subprocess.run([sys.executable, "-P", "-c", code], input=asked, capture_output=True, text=True, check=True)
    assert measured_from(json.loads(done.stdout)).load_s == 2
    assert sorted(done.stderr.split("\n")) == ["", "from C", "from Python"]


def test_an_error_is_a_status_and_a_sentence(settings: Settings, tmp_path: Path) -> None:
    find_entry("resnet18", settings.cache_dir)  # writes the catalogue
    shutil.copy(catalogue_path(settings.cache_dir), tmp_path)
    own = settings.model_copy(update={"precision": "int8", "engine": "openvino", "cache_dir": tmp_path})
    done = subprocess.run(
        [sys.executable, "-P", "-m", "worker.measure", str(os.getpid())],
        input=json.dumps(asdict(replace(Assignment(), paths=["1.jpg"]))),
        env=os.environ | as_environment(own),
        capture_output=True,
        text=True,
        check=False,
    )
    sentence = "resnet18 is not calibrated yet: nightlabel models prepare resnet18 --int8 PATH"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", f"{sentence}\n")


@pytest.mark.skipif(
    not Path("/proc/self/status").is_file() or "VmHWM" not in Path("/proc/self/status").read_text(),
    reason="this kernel does not say what a process held at most",
)
def test_the_memory_of_the_process_that_starts_it_is_not_its_own() -> None:
    held = b"x" * 300_000_000
    peak_mb = in_a_process(
        "import json; from host.memory import peak_rss_bytes; print(json.dumps(peak_rss_bytes() / 1e6))"
    )
    assert len(held) / 1e6 > 2 * peak_mb > 0
