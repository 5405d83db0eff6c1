"""Outcomes are stored by many processes at once, and by some that are killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from storage.chunk_claims import claim
from storage.database import Database
from storage.identity import database_identity
from storage.outcomes import Stored
from storage.runs import progress
from tests.unit.storage.nights import (
    add,
    ask,
    begin,
    begin_run,
    label,
    photos,
    published_chunk,
    sample,
    store_with_sample,
    success,
    take,
)
from tests.unit.storage.processes import at_once

if TYPE_CHECKING:
    from storage.records import Chunk

#: Exit statuses of the processes below.
STORED, REFUSED = 10, 11
#: When a process is killed, seen from inside its transaction.
AFTER_THE_OUTCOMES, BEFORE_THE_COMMIT = "after the outcomes", "before the commit"


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def store_one_chunk(url: str, chunk: Chunk) -> None:
    """Claim and store one chunk; say with the exit status whether it was this process that stored it."""
    database = Database(url)
    claimed = claim(database, database_identity(database), chunk.id, chunk.attempt, str(os.getpid()))
    stored = claimed and store_with_sample(
        database, claimed, [success(image.image_id) for image in claimed.images], sample(str(os.getpid()))
    )
    os._exit(STORED if stored is Stored.DONE else REFUSED)


def store_many_chunks(url: str, chunks: list[Chunk]) -> None:
    database = Database(url)
    for chunk in chunks:
        assert label(database, chunk)


def be_killed(url: str, chunk: Chunk, instant: str) -> None:
    """Store a chunk, and end by SIGKILL inside the transaction."""
    database = Database(url)
    claimed = begin(database, chunk)

    def kill(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def kill_when_marking_done(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE chunks"):
            kill()

    if instant == BEFORE_THE_COMMIT:
        event.listen(database._engine, "commit", kill)
    else:
        event.listen(database._engine, "before_cursor_execute", kill_when_marking_done)
    store_with_sample(database, claimed, [success(image.image_id) for image in claimed.images], sample())


@pytest.mark.parametrize("instant", [AFTER_THE_OUTCOMES, BEFORE_THE_COMMIT])
def test_a_process_killed_inside_the_transaction_leaves_no_partial_chunk(database: Database, instant: str) -> None:
    run = begin_run(database)
    chunk = published_chunk(database, run, 64)
    assert at_once(be_killed, [(url_of(database), chunk, instant)]) == [-signal.SIGKILL]
    counts = "(select count(*) from outcomes), (select count(*) from workers), (select count(done_at) from chunks)"
    assert ask(database, f"select {counts}") == [(0, 0, 0)]


def test_a_chunk_whose_worker_was_killed_is_stored_by_the_next(database: Database) -> None:
    run = begin_run(database)
    chunk = published_chunk(database, run, 64)
    at_once(be_killed, [(url_of(database), chunk, BEFORE_THE_COMMIT)])
    assert label(database, chunk)
    assert ask(database, "select starts, ok from chunks") == [(2, 64)]


def test_of_processes_that_store_one_chunk_at_once_one_does(database: Database) -> None:
    run = begin_run(database)
    chunk = published_chunk(database, run, 64)
    statuses = at_once(store_one_chunk, [(url_of(database), chunk)] * 4)
    assert sorted(map(str, statuses)) == [str(STORED), *[str(REFUSED)] * 3]
    assert ask(database, "select count(*), count(distinct worker) from outcomes") == [(64, 1)]


def test_processes_that_store_their_own_chunks_at_once_never_meet_a_lock(database: Database) -> None:
    run = begin_run(database)
    for first in range(0, 1600, 800):
        add(database, run, photos(800, first=first), chunk_size=16)
    chunks = take(database, run)
    shares = [(url_of(database), chunks[number::4]) for number in range(4)]
    assert at_once(store_many_chunks, shares) == [os.EX_OK] * 4
    state = progress(database, run.id)
    assert (state.ok, state.chunks_done, state.missing) == (1600, 100, 0)
