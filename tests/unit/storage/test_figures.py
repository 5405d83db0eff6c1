"""What the report asks: percentiles, failures and chunk times, held against numpy and plain Python."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, update

from storage.figures import (
    STAGES,
    chunk_timings,
    failures_by_kind,
    mean_stages,
    pace,
    percentiles,
    recent_workers,
    worker_samples,
)
from storage.manifest import PublishedChunk, take_back
from storage.outcomes import store
from storage.records import FailureCount, Pace, Percentiles
from storage.tables import chunks, outcomes
from tests.unit.storage.nights import (
    add,
    begin,
    begin_run,
    failure,
    label,
    label_all,
    photos,
    published_chunk,
    sample,
    success,
    take,
)

if TYPE_CHECKING:
    from storage.database import Database
    from storage.records import Run

EVENING = datetime(2025, 1, 1, 22, tzinfo=UTC)


@pytest.fixture
def run(database: Database) -> Run:
    """A run whose 200 images are in the database, so that outcomes can be planted on them."""
    run = begin_run(database)
    add(database, run, photos(200))
    return run


def plant_times(database: Database, run: Run, times_ms: list[float | None]) -> None:
    """Give the run these `read_ms`, and no other outcome."""
    rows = [
        {
            "image_id": number,
            "model_id": run.model_id,
            "run_id": run.id,
            "chunk_id": 1,
            "status": "ok",
            "read_ms": ms,
            "worker": "host-1/1",
            "labelled_at": EVENING,
        }
        for number, ms in enumerate(times_ms, 1)
    ]
    with database.write() as connection:
        connection.execute(delete(outcomes))
        connection.execute(insert(outcomes), rows)


@given(times_ms=st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=200))
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_percentiles_are_numpys_nearest_rank(database: Database, run: Run, times_ms: list[float]) -> None:
    plant_times(database, run, [*times_ms])
    p50, p95, p99 = np.percentile(times_ms, [50, 95, 99], method="inverted_cdf")
    assert percentiles(database, run.id, "read") == Percentiles(p50=p50, p95=p95, p99=p99)


def test_images_without_a_time_do_not_count_as_quick(database: Database, run: Run) -> None:
    plant_times(database, run, [None, None, None, 8.0])
    assert percentiles(database, run.id, "read") == Percentiles(p50=8.0, p95=8.0, p99=8.0)


def test_a_stage_that_no_image_reached_has_no_percentiles(database: Database, run: Run) -> None:
    assert percentiles(database, run.id, "infer") is None


def test_every_stage_has_percentiles(database: Database) -> None:
    run = begin_run(database)
    label(database, run, published_chunk(database, run))
    assert [stage for stage in STAGES if percentiles(database, run.id, stage) is None] == []


def test_another_runs_times_are_left_out(database: Database, run: Run) -> None:
    plant_times(database, run, [1.0, 2.0])
    assert percentiles(database, begin_run(database, root="/other").id, "read") is None


def test_failures_are_counted_by_kind_the_most_frequent_first(database: Database, run: Run) -> None:
    kinds = ["vanished", "damaged", "damaged", "truncated", "truncated"]
    (chunk, *_) = take(database, run)
    results = [failure(image.image_id, kind) for image, kind in zip(chunk.images, kinds, strict=False)]
    store(database, run, begin(database, chunk), results, sample())
    assert failures_by_kind(database, run.id) == [
        FailureCount(kind="damaged", images=2, example="/photos/00001.jpg"),
        FailureCount(kind="truncated", images=2, example="/photos/00003.jpg"),
        FailureCount(kind="vanished", images=1, example="/photos/00000.jpg"),
    ]


def test_a_run_in_which_nothing_failed_has_no_failures(database: Database, run: Run) -> None:
    label_all(database, run)
    assert failures_by_kind(database, run.id) == []


def test_finished_chunks_come_in_the_order_in_which_they_ended(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(8), chunk_size=2)
    label_all(database, run)
    with database.write() as connection:
        for number, minutes in enumerate((3, 1, 4, 2), 1):
            ended = EVENING + timedelta(minutes=minutes)
            connection.execute(update(chunks).where(chunks.c.id == number).values(done_at=ended))
    ends = [timing.done_at - EVENING for timing in chunk_timings(database, run.id)]
    assert ends == [timedelta(minutes=minutes) for minutes in (1, 2, 3, 4)]


def test_only_finished_chunks_have_a_timing(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(4), chunk_size=2)
    first, second = take(database, run)
    label(database, run, first)
    begin(database, second)
    (timing,) = chunk_timings(database, run.id)
    assert (timing.images, timing.worker) == (2, "host-1/1")
    assert timing.started_at <= timing.done_at


def test_a_chunk_that_its_worker_stored_after_it_was_given_up_still_has_a_start(database: Database) -> None:
    run = begin_run(database)
    chunk = published_chunk(database, run)
    slow = begin(database, chunk)
    take_back(database, [PublishedChunk(chunk.id, chunk.attempt)])
    assert store(database, run, slow, [success(image.image_id) for image in chunk.images], sample())
    (timing,) = chunk_timings(database, run.id)
    assert timing.started_at is not None


def test_workers_that_left_no_sample_are_left_out(database: Database) -> None:
    run = begin_run(database)
    label(database, run, published_chunk(database, run))
    (found,) = worker_samples(database, ["host-1/1", "host-9/1"])
    assert replace(found, seen_at=None) == sample()


def test_workers_are_recent_by_when_they_last_stored_a_chunk(database: Database) -> None:
    run = begin_run(database)
    label(database, run, published_chunk(database, run))
    now = datetime.now(UTC)
    (found,) = recent_workers(database, now - timedelta(minutes=1))
    assert found.seen_at
    assert abs(found.seen_at - now) < timedelta(minutes=1)
    assert recent_workers(database, now + timedelta(minutes=1)) == []


def test_the_pace_is_what_was_labelled_lately_and_when_it_last_moved(database: Database) -> None:
    run = begin_run(database)
    now = datetime.now(UTC)
    assert pace(database, run.id, now) == Pace(newest_at=None, images=0)
    chunk = published_chunk(database, run)
    label(database, run, chunk)

    lately = pace(database, run.id, now - timedelta(minutes=1))
    assert lately.images == len(chunk.images)
    assert lately.newest_at
    assert abs(lately.newest_at - now) < timedelta(minutes=1)
    assert pace(database, run.id, now + timedelta(minutes=1)).images == 0


def test_the_means_of_the_stages_are_over_the_images_that_were_measured(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(3))
    (chunk,) = take(database, run)
    one, two, three = (image.image_id for image in chunk.images)
    results = [success(one, decode_ms=2, read_ms=1), success(two, decode_ms=4, read_ms=3), failure(three, "vanished")]
    store(database, run, begin(database, chunk, "host-1/1"), results, sample("host-1/1"))
    means = mean_stages(database, run.id)
    assert (means["read"], means["decode"]) == (2, 3)
