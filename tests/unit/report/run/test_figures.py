"""The report's figures, held against what numpy and plain Python make of the raw rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pytest

from report.run.figures import run_figures
from storage.manifest import PublishedChunk, requeue_chunks
from tests.unit.report.planted import EVENING, plant, plant_times, raw, seconds
from tests.unit.storage.nights import (
    add,
    begin,
    begin_run,
    label_all,
    photos,
    published_chunk,
    sample,
    store_with_sample,
    success,
)

if TYPE_CHECKING:
    from report.run.figures import RunFigures
    from storage.database import Database
    from storage.records import Run


@pytest.fixture
def run(database: Database) -> Run:
    return plant(database)


@pytest.fixture
def figures(database: Database, run: Run) -> RunFigures:
    return run_figures(database, run)


def spans(database: Database) -> tuple[int, int]:
    """Return the seconds of labelling and of pauses, second by second: idle for over a minute is a pause."""
    times = [(seconds(start), seconds(end)) for start, end in raw(database, "select started_at, done_at from chunks")]
    first, last = min(start for start, _ in times), max(end for _, end in times)
    busy = [any(start <= second < end for start, end in times) for second in range(first, last)]
    idle = [len(list(stretch)) for is_busy, stretch in groupby(busy) if not is_busy]
    pauses = sum(stretch for stretch in idle if stretch > 60)
    return last - first - pauses, pauses


def test_the_counts_are_those_of_the_rows(database: Database, figures: RunFigures) -> None:
    counts = Counter(status for (status,) in raw(database, "select status from outcomes"))
    assert counts["failed"] > 0
    assert (figures.progress.ok, figures.progress.failed) == (counts["ok"], counts["failed"])


def test_labelling_and_pauses_are_told_apart(database: Database, figures: RunFigures) -> None:
    labelling, pauses = spans(database)
    assert (figures.labelling_s, figures.pauses_s) == (labelling, pauses)
    assert pauses == 661


def test_the_speed_is_that_of_the_labelling_without_pauses(database: Database, figures: RunFigures) -> None:
    labelling, _ = spans(database)
    assert figures.images_per_second == pytest.approx(160 / labelling)


def test_a_night_without_interruption_has_no_pauses(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(4), chunk_size=2)
    label_all(database, run)
    plant_times(database, 1, EVENING, EVENING + timedelta(seconds=5))
    plant_times(database, 2, EVENING + timedelta(seconds=65), EVENING + timedelta(seconds=70))
    figures = run_figures(database, run)
    assert (figures.labelling_s, figures.pauses_s) == (70, 0)


def test_a_chunk_inside_another_adds_no_time(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(4), chunk_size=2)
    label_all(database, run)
    plant_times(database, 1, EVENING, EVENING + timedelta(seconds=50))
    plant_times(database, 2, EVENING + timedelta(seconds=10), EVENING + timedelta(seconds=20))
    assert run_figures(database, run).labelling_s == 50


def test_the_stages_percentiles_are_numpys_over_the_rows(database: Database, figures: RunFigures) -> None:
    for stage in ("queue", "read", "decode", "infer", "total"):
        times = [ms for (ms,) in raw(database, f"select {stage}_ms from results where {stage}_ms is not null")]
        percentiles = figures.stages[stage]
        expected = np.percentile(times, [50, 95, 99], method="inverted_cdf")
        assert [percentiles.p50, percentiles.p95, percentiles.p99] == pytest.approx(expected, rel=0.005), stage
        assert percentiles.max == max(times)


def test_the_minutes_hold_all_images_each_in_the_minute_of_its_end(database: Database, figures: RunFigures) -> None:
    ends = raw(database, "select done_at, images from chunks")
    expected: Counter[int] = Counter()
    for end, images in ends:
        expected[seconds(end) // 60] += images
    found = {seconds(minute.minute) // 60: minute.images for minute in figures.minutes}
    assert {minute: images for minute, images in found.items() if images} == dict(expected)
    assert [minute.minute for minute in figures.minutes] == sorted(minute.minute for minute in figures.minutes)


def test_a_workers_images_and_memory_are_its_own(database: Database, figures: RunFigures) -> None:
    rows = raw(database, "select worker, sum(images) from chunks group by worker order by worker")
    assert [(worker.name, worker.images) for worker in figures.workers] == rows
    assert [(worker.rss_mb, worker.peak_rss_mb) for worker in figures.workers] == [(15, 250), (16, 250)]


def test_failures_come_by_kind_the_most_frequent_first(database: Database, figures: RunFigures) -> None:
    kinds = Counter(kind for (kind,) in raw(database, "select error_kind from results where status = 'failed'"))
    assert [(failure.kind, failure.images) for failure in figures.failures] == kinds.most_common()


def test_a_failures_example_is_a_path_that_failed_so(database: Database, figures: RunFigures) -> None:
    failed = set(raw(database, "select error_kind, path from results where status = 'failed'"))
    assert {(failure.kind, failure.example) for failure in figures.failures} <= failed


def test_another_run_changes_no_figure(database: Database, run: Run, figures: RunFigures) -> None:
    other = begin_run(database, root="/other")
    add(database, other, photos(5, first=1000))
    label_all(database, other)
    again = run_figures(database, run)
    assert replace(again, workers=()) == replace(figures, workers=())  # whose memory is that of now


def test_a_run_of_which_nothing_is_done_has_no_speed(database: Database) -> None:
    run = begin_run(database)
    published_chunk(database, run)
    figures = run_figures(database, run)
    assert (figures.images_per_second, figures.stages, figures.workers) == (None, {}, ())


def test_a_chunk_that_was_given_up_and_stored_all_the_same_breaks_no_report(database: Database) -> None:
    run = begin_run(database)
    chunk = published_chunk(database, run)
    slow = begin(database, chunk)
    requeue_chunks(database, [PublishedChunk(chunk.id, chunk.attempt)])
    store_with_sample(database, slow, [success(image.image_id) for image in slow.images], sample())
    assert run_figures(database, run).progress.ok == 3
