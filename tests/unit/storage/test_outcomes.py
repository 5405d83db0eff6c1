"""A chunk is begun, labelled, and stored with its outcomes, once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from storage.chunk_claims import claim, mark_suspect
from storage.figures import worker_samples
from storage.identity import database_identity
from storage.outcomes import Stored, store, store_one, stored_images
from tests.unit.storage.nights import (
    LABELS,
    add,
    ask,
    begin,
    begin_run,
    failure,
    label,
    label_all,
    members,
    number,
    photos,
    published_chunk,
    sample,
    store_with_sample,
    success,
    take,
)

if TYPE_CHECKING:
    from storage.database import Database
    from storage.records import Chunk, Run

COUNTS = "select ok, failed from chunks"


@pytest.fixture
def run(database: Database) -> Run:
    return begin_run(database)


@pytest.fixture
def chunk(database: Database, run: Run) -> Chunk:
    """Three images on the queue."""
    return published_chunk(database, run)


def test_a_chunk_that_waits_for_a_worker_can_be_begun(database: Database, chunk: Chunk) -> None:
    claimed = claim(database, database_identity(database), chunk.id, chunk.attempt, "host-1/1")
    assert claimed is not None
    assert (claimed.chunk_id, claimed.starts) == (chunk.id, 1)


@pytest.mark.parametrize("attempt", [0, 2])
def test_another_attempt_than_the_newest_begins_nothing(database: Database, chunk: Chunk, attempt: int) -> None:
    assert claim(database, database_identity(database), chunk.id, attempt, "host-1/1") is None
    assert number(database, "select starts from chunks") == 0


def test_a_chunk_that_is_done_is_not_begun(database: Database, chunk: Chunk) -> None:
    label(database, chunk)
    assert claim(database, database_identity(database), chunk.id, chunk.attempt, "host-1/1") is None


def test_a_chunk_that_is_not_in_the_database_is_not_begun(database: Database) -> None:
    assert claim(database, database_identity(database), 4711, 1, "host-1/1") is None


def test_every_start_of_a_chunk_is_counted(database: Database, chunk: Chunk) -> None:
    assert [begin(database, chunk).starts for _ in range(3)] == [1, 2, 3]


def test_the_time_in_the_queue_runs_from_publishing_to_the_start(database: Database, chunk: Chunk) -> None:
    assert 0 <= begin(database, chunk).queue_ms < 10_000


def test_a_host_whose_clock_is_late_waited_no_negative_time(database: Database, chunk: Chunk) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("update chunks set published_at = '2099-01-01 00:00:00.000000'")
    assert begin(database, chunk).queue_ms == 0


def test_an_outcome_is_stored_with_all_that_is_known_of_it(database: Database, run: Run, chunk: Chunk) -> None:
    label(database, chunk)
    query = (
        "select path, model, status, label_1, score_1, label_2, score_2, label_3, score_3, error_kind, error, width,"
        " height, read_ms, decode_ms, infer_ms, total_ms, worker, run_id, size_bytes from results order by path"
    )
    labels = tuple(part for pair in LABELS for part in pair)
    assert ask(database, query)[0] == (
        *("/photos/00000.jpg", "resnet18", "ok", *labels, None, None, 640, 480),
        *(0.5, 3.0, 9.0, 12.5, "host-1/1", run.id, 1000),
    )


def test_a_result_says_which_precision_computed_it_and_whose_labels_it_took(database: Database, chunk: Chunk) -> None:
    claimed = begin(database, chunk)
    first, second, third = (image.image_id for image in claimed.images)
    copy = success(second, computed_in="int8", copied_from=first, decode_ms=None, infer_ms=None)
    assert store(database, claimed, [success(first), copy, failure(third)], "host-1/1") is Stored.DONE
    assert ask(database, "select path, computed_in, copied_from, total_ms from results order by path") == [
        ("/photos/00000.jpg", "fp32", None, 12.5),
        ("/photos/00001.jpg", "int8", "/photos/00000.jpg", 0.5),
        ("/photos/00002.jpg", None, None, None),
    ]


def test_a_failure_is_a_row_with_its_reason(database: Database, chunk: Chunk) -> None:
    label(database, chunk, failing={"/photos/00001.jpg"})
    query = "select path, label_1, error_kind, error, total_ms from results where status = 'failed'"
    assert ask(database, query) == [("/photos/00001.jpg", None, "damaged", "it is damaged", None)]


def test_a_stored_chunk_counts_its_outcomes(database: Database, chunk: Chunk) -> None:
    label(database, chunk, failing={"/photos/00001.jpg"})
    assert ask(database, COUNTS) == [(2, 1)]


def test_a_second_store_says_so_and_changes_nothing(database: Database, chunk: Chunk) -> None:
    first, second = begin(database, chunk), begin(database, chunk)
    ids = [image.image_id for image in first.images]
    assert store_with_sample(database, first, [success(image_id) for image_id in ids], sample()) is Stored.DONE
    before = ask(database, "select * from outcomes order by image_id"), ask(database, "select * from chunks")
    late = sample("host-2/1")
    assert store_with_sample(database, second, [failure(image_id) for image_id in ids], late) is Stored.TOO_LATE
    assert (ask(database, "select * from outcomes order by image_id"), ask(database, "select * from chunks")) == before


def test_a_second_store_leaves_no_sample_of_its_worker(database: Database, chunk: Chunk) -> None:
    late = begin(database, chunk)
    label(database, chunk)
    store_with_sample(database, late, [], sample("host-2/1"))
    assert worker_samples(database, ["host-2/1"]) == []


def test_an_image_has_one_outcome_a_model_however_often_it_is_labelled(database: Database, run: Run) -> None:
    add(database, run, photos(3))
    label_all(database, run)
    again = begin_run(database, root="/")
    add(database, again, photos(3), relabel=True)
    label_all(database, again)
    assert ask(database, "select count(*), min(run_id) from outcomes") == [(3, again.id)]


def test_an_image_that_is_labelled_at_last_keeps_nothing_of_its_failure(database: Database, run: Run) -> None:
    add(database, run, photos(1))
    label_all(database, run, failing={"/photos/00000.jpg"})
    again = begin_run(database, root="/")
    add(database, again, photos(1), relabel=True)
    label_all(database, again)
    assert ask(database, "select status, error_kind, error from outcomes") == [("ok", None, None)]


def test_an_ok_image_has_three_labels_and_a_failed_one_none(database: Database, chunk: Chunk) -> None:
    label(database, chunk, failing={"/photos/00001.jpg"})
    query = "select path, rank, label, score from labels where path <> '/photos/00002.jpg' order by path, rank"
    expected = [("/photos/00000.jpg", rank, *LABELS[rank - 1]) for rank in (1, 2, 3)]
    assert ask(database, query) == expected


def test_a_worker_keeps_one_sample_the_newest(database: Database, run: Run) -> None:
    add(database, run, photos(2), chunk_size=1)
    first, second = take(database, run)
    newest = sample(rss_bytes=2, peak_rss_bytes=3)
    for chunk, left in ((first, sample(rss_bytes=1)), (second, newest)):
        claimed = begin(database, chunk)
        store_with_sample(database, claimed, [success(claimed.images[0].image_id)], left)
    (stored,) = worker_samples(database, ["host-1/1"])
    assert replace(stored, seen_at=None) == newest


def test_images_stored_one_by_one_are_known_when_the_chunk_is_begun_again(database: Database, chunk: Chunk) -> None:
    claimed = begin(database, chunk)
    first, second, _ = (image.image_id for image in claimed.images)
    store_one(database, claimed, success(first), "host-1/1")
    store_one(database, claimed, failure(second), "host-1/1")
    assert stored_images(database, begin(database, chunk)) == {first: True, second: False}


def test_another_runs_outcome_is_not_taken_for_this_ones(database: Database, run: Run) -> None:
    add(database, run, photos(1))
    label_all(database, run)
    again = begin_run(database, root="/")
    add(database, again, photos(1), relabel=True)
    (chunk,) = take(database, again)
    assert stored_images(database, begin(database, chunk)) == {}


def test_a_chunk_stored_one_by_one_counts_all_of_its_images(database: Database, chunk: Chunk) -> None:
    claimed = begin(database, chunk)
    for image in claimed.images[:2]:
        store_one(database, claimed, success(image.image_id), "host-1/1")
    store_one(database, claimed, failure(claimed.images[2].image_id), "host-1/1")
    assert store_with_sample(database, claimed, [], sample()) is Stored.DONE
    assert ask(database, COUNTS) == [(2, 1)]


def test_the_image_that_a_start_ended_with_is_the_suspect_of_the_next(database: Database, chunk: Chunk) -> None:
    image = members(database, chunk)[1].image_id
    for _ in range(2):
        mark_suspect(database, begin(database, chunk), image)
    claimed = begin(database, chunk)
    assert (claimed.suspect_id, claimed.suspect_starts) == (image, 2)


def test_suspicion_of_another_image_counts_from_one(database: Database, chunk: Chunk) -> None:
    for image in members(database, chunk)[:2]:
        mark_suspect(database, begin(database, chunk), image.image_id)
    assert begin(database, chunk).suspect_starts == 1


def test_an_image_that_got_its_outcome_is_no_suspect(database: Database, chunk: Chunk) -> None:
    claimed = begin(database, chunk)
    mark_suspect(database, claimed, claimed.images[0].image_id)
    store_one(database, claimed, success(claimed.images[0].image_id), "host-1/1")
    assert begin(database, chunk).suspect_id is None


def test_an_outcome_that_comes_after_its_chunk_was_stored_changes_nothing(database: Database, chunk: Chunk) -> None:
    slow = begin(database, chunk)
    label(database, chunk)  # by another worker, to which the chunk went because this one was so slow
    assert not store_one(database, slow, failure(slow.images[0].image_id), "host-1/2")
    assert ask(database, "select count(*) from outcomes where status = 'ok'") == [(3,)]
    assert ask(database, COUNTS) == [(3, 0)]
