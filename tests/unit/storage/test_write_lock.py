"""While a chunk is claimed and stored, nothing is done under SQLite's only lock that can be done before or after it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select

from storage.chunk_claims import claim
from storage.database import Database
from storage.identity import database_identity
from storage.outcomes import Stored, store_one
from storage.schema_version import ensure_schema
from storage.tables import image_things, workers
from tests.unit.storage.nights import (
    add,
    ask,
    begin,
    begin_run,
    change,
    failure,
    number,
    photos,
    published_chunk,
    sample,
    store_with_sample,
    success,
    take,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

THINGS = "select image_id, thing from image_things order by image_id, thing"
#: `PRAGMA synchronous` and `PRAGMA temp_store`, as SQLite numbers them.
NORMAL, FULL = 1, 2
IN_FILES, IN_MEMORY = 0, 2


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """A SQLite file with its schema, to which another connection writes too."""
    with closing(Database(f"sqlite:///{tmp_path}/night.db")) as database:
        ensure_schema(database)
        yield database


def before(database: Database, beginning: str, do: Callable[[Any], None]) -> None:
    """Have something done, once, before a statement that begins so: with the connection that has it next."""
    done: list[str] = []

    def look(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(beginning) and not done:
            done.append(statement)
            do(connection)

    event.listen(database._engine, "before_cursor_execute", look)


def change_from_elsewhere(database: Database, statement: str) -> None:
    with closing(Database(database.url.render_as_string(hide_password=False))) as other:
        change(other, statement)


def test_others_may_write_while_a_claim_reads_its_images(file: Database) -> None:
    chunk = published_chunk(file, begin_run(file))
    written: list[int] = []

    def write(_: Any) -> None:
        change_from_elsewhere(file, "update runs set ignored = 7")
        written.append(7)

    before(file, "SELECT images.id", write)
    assert len(begin(file, chunk).images) == 3
    assert written == [7]


def test_a_database_made_anew_between_a_claim_and_its_images_gives_none(database: Database) -> None:
    chunk = published_chunk(database, begin_run(database))
    known = database_identity(database)
    anew = "update identity set uuid = 'another'"
    before(database, "SELECT identity", lambda _: change_from_elsewhere(database, anew))
    assert claim(database, known, chunk.id, chunk.attempt, "host-1/1") is None


def test_a_chunks_outcomes_wait_for_the_disk_and_its_claim_does_not(file: Database) -> None:
    chunk = published_chunk(file, begin_run(file))
    seen: list[tuple[int, int]] = []

    def look(connection: Any) -> None:
        driver = connection.connection
        seen.append(tuple(driver.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "temp_store")))

    before(file, "UPDATE chunks SET starts", look)
    before(file, "SELECT images.id", look)
    claimed = begin(file, chunk)
    before(file, "INSERT INTO outcomes", look)
    results = [success(image.image_id) for image in claimed.images]
    assert store_with_sample(file, claimed, results, sample()) is Stored.DONE
    before(file, "SELECT count", look)
    assert number(file, "SELECT count(*) FROM outcomes") == 3
    assert seen == [(NORMAL, IN_FILES), (NORMAL, IN_FILES), (FULL, IN_MEMORY), (FULL, IN_FILES)]


def test_things_of_one_image_in_the_middle_are_replaced(database: Database) -> None:
    """The first image and the last have none yet, so that what is there is found between them."""
    run = begin_run(database)
    add(database, run, photos(3))
    (chunk,) = take(database, run)
    claimed = begin(database, chunk)
    ids = [image.image_id for image in claimed.images]
    assert store_one(database, claimed, success(ids[1], things=(("cat", 0.5), ("animal", 0.6))), "host-1/1")
    again = [failure(ids[0]), success(ids[1], things=(("dog", 0.7),)), failure(ids[2])]
    assert store_with_sample(database, begin(database, chunk), again, sample()) is Stored.DONE
    assert ask(database, THINGS) == [(ids[1], "dog")]


def test_things_of_an_image_that_is_stored_alone_are_replaced_and_no_others(database: Database) -> None:
    chunk = published_chunk(database, begin_run(database), 2)
    claimed = begin(database, chunk)
    one, other = (image.image_id for image in claimed.images)
    for image_id, thing in ((one, "cat"), (other, "car"), (one, "dog")):
        assert store_one(database, claimed, success(image_id, things=((thing, 0.5),)), "host-1/1")
    assert ask(database, THINGS) == [(one, "dog"), (other, "car")]


def test_rows_are_the_same_however_they_are_sent(database: Database) -> None:
    """Of each type of column: a time, a number that only just fits, a text that JSON would escape, and nothing."""
    chunk = published_chunk(database, begin_run(database))
    claimed = begin(database, chunk)
    names = ("image_id", "model_id", "thing", "score")
    key = names[:3]
    ids = [image.image_id for image in claimed.images]
    things = [(ids[0], claimed.run.model_id, 'a "thing"\n ü', 0.1), (ids[1], claimed.run.model_id, "1", 1e-300)]
    process = {"host": "h", "pid": 2**31 - 1, "process": None, "rss_bytes": 2**62, "peak_rss_bytes": 0}
    process |= {"started_at": claimed.started_at, "seen_at": claimed.started_at}
    seen = []
    for way in (database.upsert_rows, database.upsert_each):
        with database.write() as connection:
            is_bound = way == database.upsert_rows
            own: Any = database.bound(names, things) if is_bound else things
            way(connection, image_things, key, ("score",), names, own)
            worker: Any = database.bound(("name",), [("w",)]) if is_bound else [("w",)]
            way(connection, workers, ("name",), tuple(process), ("name",), worker, **process)
            found = [connection.execute(select(table)).all() for table in (image_things, workers)]
            seen.append(found)
            connection.rollback()
    assert seen[0] == seen[1]
    assert sorted(tuple(row) for row in seen[0][0]) == things
