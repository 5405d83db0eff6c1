"""What the report asks: outcomes, failures, chunk times and samples, held against plain Python."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert, select, update

import storage.outcome_figures
from storage.figures import (
    chunk_times,
    disagreement,
    failed_images,
    failures_by_kind,
    images_in_folder,
    mean_stages,
    paths_with_content,
    process_samples,
    recent_workers,
    surest_images,
    worker_samples,
)
from storage.manifest import PublishedChunk, requeue_chunks
from storage.outcome_figures import copies, outcome_pages
from storage.outcomes import Stored, requeue_failures
from storage.records import Copies, FailureCount, Pace, ProcessSample
from storage.tables import chunks, outcomes
from storage.watching import pace
from tests.unit.storage.nights import (
    MODEL,
    add,
    begin,
    begin_run,
    failure,
    label,
    label_all,
    members,
    photos,
    published_chunk,
    sample,
    store_with_sample,
    success,
    take,
)

if TYPE_CHECKING:
    from storage.database import Database
    from storage.records import Run

#: As finely as the clocks of Python and of the databases are told apart here.
A_TICK = timedelta(seconds=1)
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


def test_pages_hold_every_outcome_of_the_run_once(
    database: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.outcome_figures, "_PAGE_ROWS", 3)
    plant_times(database, run, [float(number) for number in range(8)])
    pages = list(outcome_pages(database, run.id))
    assert {ms for page in pages for ms in page.stages_ms["read"]} == {float(number) for number in range(8)}
    assert sum(len(page.chunk_id) for page in pages) == 8
    assert max(len(page.chunk_id) for page in pages) == 3


def test_another_runs_outcomes_are_left_out(database: Database, run: Run) -> None:
    plant_times(database, run, [1.0, 2.0])
    assert list(outcome_pages(database, begin_run(database, root="/other").id)) == []


def test_copies_are_the_files_of_one_run(database: Database, run: Run) -> None:
    """What another run has labelled, with another model, is the same file once more."""
    other = begin_run(database, replace(MODEL, architecture="mobilenet_v2"))
    contents = {1: "a" * 32, 2: "a" * 32, 3: "b" * 32, 4: None, 5: None}
    plant_times(database, other, [1.0] * len(contents))
    with database.write() as connection:
        connection.execute(update(outcomes).values(size=700))
        for image_id, content in contents.items():
            connection.execute(update(outcomes).where(outcomes.c.image_id == image_id).values(content=content))
        rows = connection.execute(select(outcomes)).mappings().all()
        connection.execute(insert(outcomes), [{**row, "run_id": run.id, "model_id": run.model_id} for row in rows])
    assert list(copies(database, run.id)) == [Copies("a" * 32, 2, 700)]


def test_failures_are_counted_by_kind_the_most_frequent_first(database: Database) -> None:
    kinds = ["vanished", "damaged", "damaged", "truncated", "truncated"]
    run = begin_run(database)
    chunk = published_chunk(database, run, len(kinds))
    results = [failure(image.image_id, kind) for image, kind in zip(members(database, chunk), kinds, strict=True)]
    store_with_sample(database, begin(database, chunk), results, sample())
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
    ends = [timing.done_at - EVENING for timing in chunk_times(database, run.id)]
    assert ends == [timedelta(minutes=minutes) for minutes in (1, 2, 3, 4)]


def test_only_finished_chunks_have_a_timing(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(4), chunk_size=2)
    first, second = take(database, run)
    label(database, first)
    begin(database, second)
    (timing,) = chunk_times(database, run.id)
    assert (timing.images, timing.worker) == (2, "host-1/1")
    assert timing.started_at <= timing.done_at


def test_a_chunk_that_its_worker_stored_after_it_was_given_up_still_has_a_start(database: Database) -> None:
    run = begin_run(database)
    chunk = published_chunk(database, run)
    slow = begin(database, chunk)
    requeue_chunks(database, [PublishedChunk(chunk.id, chunk.attempt)])
    results = [success(image.image_id) for image in slow.images]
    assert store_with_sample(database, slow, results, sample()) is Stored.DONE
    (timing,) = chunk_times(database, run.id)
    assert timing.started_at is not None


def test_workers_that_left_no_sample_are_left_out(database: Database) -> None:
    run = begin_run(database)
    label(database, published_chunk(database, run))
    (found,) = worker_samples(database, ["host-1/1", "host-9/1"])
    assert replace(found, seen_at=None) == sample()


def test_workers_are_recent_by_when_they_last_stored_a_chunk(database: Database) -> None:
    run = begin_run(database)
    before = datetime.now(UTC) - A_TICK
    label(database, published_chunk(database, run))
    after = datetime.now(UTC) + A_TICK
    (found,) = recent_workers(database, before)
    assert found.seen_at
    assert before <= found.seen_at <= after
    assert recent_workers(database, after) == []


def test_the_pace_is_what_was_labelled_lately_and_when_it_last_moved(database: Database) -> None:
    run = begin_run(database)
    before = datetime.now(UTC) - A_TICK
    assert pace(database, run.id, before) == Pace(newest_at=None, images=0)
    chunk = published_chunk(database, run)
    label(database, chunk)
    after = datetime.now(UTC) + A_TICK

    lately = pace(database, run.id, before)
    assert lately.images == chunk.images
    assert lately.newest_at
    assert before <= lately.newest_at <= after
    assert pace(database, run.id, after).images == 0


def test_the_means_of_the_stages_are_over_the_images_that_were_measured(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(3))
    (chunk,) = take(database, run)
    one, two, three = (image.image_id for image in members(database, chunk))
    results = [success(one, decode_ms=2, read_ms=1), success(two, decode_ms=4, read_ms=3), failure(three, "vanished")]
    store_with_sample(database, begin(database, chunk, "host-1/1"), results, sample("host-1/1"))
    means = mean_stages(database, run.id)
    assert (means["read"], means["decode"]) == (2, 3)


def test_samples_of_processes_come_by_process_the_oldest_first(database: Database, run: Run) -> None:
    (chunk,) = take(database, run)[:1]
    history = [
        ProcessSample(
            worker=name, sampled_at=EVENING + timedelta(seconds=number), pid=1, rss_bytes=number, cpu_s=0.5, store_s=0.1
        )
        for number in range(5)
        for name in ("host-1/2", "host-1/1")
    ]
    claimed = begin(database, chunk)
    results = [success(image.image_id) for image in claimed.images]
    assert store_with_sample(database, claimed, results, sample(), history) is Stored.DONE
    found = list(
        process_samples(
            database, ["host-1/1", "host-1/2"], EVENING + timedelta(seconds=1), EVENING + timedelta(seconds=3)
        )
    )
    assert [(one.worker, one.rss_bytes) for one in found] == [(f"host-1/{n}", at) for n in (1, 2) for at in (1, 2, 3)]
    assert found[0].sampled_at == EVENING + timedelta(seconds=1)


def test_a_folders_images_are_those_in_it_and_not_below_it(database: Database) -> None:
    run = begin_run(database)
    paths = ("/p/a/1.jpg", "/p/a/2.jpg", "/p/a/b/3.jpg", "/p/a0/4.jpg", "/p/a_/5.jpg", "/p/a%/6.jpg", "/p/ab/7.jpg")
    add(database, run, [photo._replace(path=path) for photo, path in zip(photos(7), paths, strict=True)])
    counts = [images_in_folder(database, run.id, folder) for folder in ("/p/a", "/p/a_", "/p/a%", "/p/a/b")]
    assert counts == [2, 1, 1, 1]


def test_the_surest_and_the_least_sure_images_are_found(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(4))
    (chunk,) = take(database, run)
    results = [
        success(image.image_id, labels=((f"label {score}", score),))
        for image, score in zip(members(database, chunk), (0.3, 0.9, 0.1, 0.5), strict=True)
    ]
    store_with_sample(database, begin(database, chunk), results, sample())
    assert [one.score for one in surest_images(database, run, 2)] == [0.9, 0.5]
    assert [one.path for one in surest_images(database, run, 1, least=True)] == ["/photos/00002.jpg"]


def test_files_of_the_same_bytes_are_named_whether_they_have_labels_or_not(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(4))
    (chunk,) = take(database, run)
    same = {"size": 1000, "mtime_ns": 1, "content": "c" * 32}
    results = [
        failure(image.image_id, "damaged", **same) if number % 2 else success(image.image_id, **same)
        for number, image in enumerate(members(database, chunk))
    ]
    store_with_sample(database, begin(database, chunk), results, sample())
    requeue_failures(database, run.id)

    assert paths_with_content(database, run, "c" * 32, 3) == [f"/photos/0000{number}.jpg" for number in range(3)]
    assert list(copies(database, run.id)) == [Copies("c" * 32, 4, 1000)]


def test_copies_of_files_that_were_doubted_have_a_size(database: Database) -> None:
    run = begin_run(database)
    chunk = published_chunk(database, run)
    results = [
        failure(image.image_id, "empty", size=0, mtime_ns=1, content="e" * 32) for image in members(database, chunk)
    ]
    store_with_sample(database, begin(database, chunk), results, sample())
    requeue_failures(database, run.id)

    assert list(copies(database, run.id)) == [Copies("e" * 32, 3, 0)]


def test_two_models_disagree_where_their_best_labels_differ(database: Database) -> None:
    first, second = begin_run(database), begin_run(database, replace(MODEL, precision="int8"))
    for run, labels in ((first, "aabb"), (second, "abba")):
        add(database, run, photos(4))
        (chunk,) = take(database, run)
        results = [
            success(image.image_id, labels=((label, 0.5 + number / 10),))
            for number, (image, label) in enumerate(zip(members(database, chunk), labels, strict=True))
        ]
        store_with_sample(database, begin(database, chunk), results, sample())
    found = disagreement(database, first, second, 1)
    assert (found.images, found.different, found.share) == (4, 2, 0.5)
    assert found.examples == (("/photos/00003.jpg", "b", "a"),)


def test_what_failed_has_an_id_and_a_path(database: Database, run: Run) -> None:
    (chunk,) = take(database, run)[:1]
    results = [
        failure(image.image_id, "damaged") if number % 2 else success(image.image_id)
        for number, image in enumerate(members(database, chunk))
    ]
    store_with_sample(database, begin(database, chunk), results, sample())
    assert sorted(failed_images(database, run.id)) == list(members(database, chunk)[1::2])
