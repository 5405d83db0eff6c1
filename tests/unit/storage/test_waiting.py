"""Chunks on their way to the queue: taken under a new attempt, and taken back when they got lost."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from storage.chunk_claims import claim
from storage.database import Database
from storage.identity import database_identity
from storage.manifest import PublishedChunk, mark_published, open_chunks, requeue_chunks
from storage.runs import progress
from tests.unit.storage.nights import add, ask, begin, begin_run, label, members, number, photos, published_chunk, take

if TYPE_CHECKING:
    from storage.records import Chunk, Run


@pytest.fixture
def run(database: Database) -> Run:
    """A run with ten chunks of two images."""
    run = begin_run(database)
    add(database, run, photos(20), chunk_size=2)
    return run


def published(chunk: Chunk) -> PublishedChunk:
    return PublishedChunk(chunk.id, chunk.attempt)


def test_chunks_are_taken_oldest_first_up_to_the_limit(database: Database, run: Run) -> None:
    taken = [*take(database, run, limit=3), *take(database, run, limit=3)]
    assert [members(database, chunk)[0].path for chunk in taken] == [ref.path for ref in photos(12)[::2]]


def test_a_taken_chunk_says_its_run_and_how_many_images_it_has(database: Database, run: Run) -> None:
    (chunk,) = take(database, run, limit=1)
    assert (chunk.run_id, chunk.images) == (run.id, 2)


def test_who_claims_a_chunk_is_told_its_run_its_images_and_their_order(database: Database, run: Run) -> None:
    (chunk,) = take(database, run, limit=1)
    claimed = begin(database, chunk)
    assert (claimed.run, [image.path for image in claimed.images]) == (run, [ref.path for ref in photos(2)])


def test_no_chunk_is_taken_twice(database: Database, run: Run) -> None:
    taken = take(database, run, limit=6) + take(database, run, limit=6) + take(database, run, limit=6)
    assert len({chunk.id for chunk in taken}) == len(taken) == 10


def test_two_producers_that_take_at_once_share_the_chunks(database: Database, run: Run) -> None:
    taken: list[int] = []
    second = Database(database.url.render_as_string(hide_password=False))

    def take_all(own: Database) -> None:
        while chunks := mark_published(own, run.id, 1):
            taken.extend(chunk.id for chunk in chunks)

    threads = [threading.Thread(target=take_all, args=(own,)) for own in (database, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    second.close()
    assert len(set(taken)) == len(taken) == 10


def test_another_runs_chunks_are_left_alone(database: Database) -> None:
    assert take(database, begin_run(database, root="/")) == []


def test_every_publishing_is_a_new_attempt(database: Database, run: Run) -> None:
    (first,) = take(database, run, limit=1)
    requeue_chunks(database, [published(first)])
    (second,) = take(database, run, limit=1)
    assert (first.attempt, second.attempt, second.id) == (1, 2, first.id)


def test_chunks_are_open_from_publishing_until_they_are_done(database: Database, run: Run) -> None:
    first, second = take(database, run, limit=2)
    label(database, first)
    assert open_chunks(database, run.id) == {published(second)}


def test_a_lost_chunk_waits_again(database: Database, run: Run) -> None:
    (chunk,) = take(database, run, limit=1)
    assert requeue_chunks(database, [published(chunk)]) == 1
    assert progress(database, run.id).chunks_waiting == 10


def test_a_chunk_that_is_done_is_not_taken_back(database: Database, run: Run) -> None:
    (chunk,) = take(database, run, limit=1)
    label(database, chunk)
    assert requeue_chunks(database, [published(chunk)]) == 0


def test_a_chunk_that_was_published_anew_is_not_taken_back(database: Database, run: Run) -> None:
    (chunk,) = take(database, run, limit=1)
    requeue_chunks(database, [published(chunk)])
    take(database, run, limit=1)
    assert requeue_chunks(database, [published(chunk)]) == 0
    assert number(database, "select count(*) from chunks where published_at is not null") == 1


def test_many_chunks_are_taken_back_in_one_call(database: Database, run: Run) -> None:
    assert requeue_chunks(database, [published(chunk) for chunk in take(database, run)]) == 10


def test_taking_nothing_back_is_no_work(database: Database) -> None:
    assert requeue_chunks(database, []) == 0


def test_the_message_of_an_earlier_attempt_begins_nothing(database: Database, run: Run) -> None:
    (stale,) = take(database, run, limit=1)
    requeue_chunks(database, [published(stale)])
    take(database, run, limit=1)
    assert claim(database, database_identity(database), stale.id, stale.attempt, "host-1/1") is None


def test_a_chunk_that_is_taken_back_while_it_is_labelled_is_still_stored_once(database: Database) -> None:
    run = begin_run(database)
    chunk = published_chunk(database, run)
    begin(database, chunk)
    requeue_chunks(database, [published(chunk)])
    (again,) = take(database, run)
    assert label(database, again)
    assert ask(database, "select attempt, starts, ok from chunks") == [(2, 2, 3)]
