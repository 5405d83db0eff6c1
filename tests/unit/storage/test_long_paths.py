"""Paths that are longer than what an index of Postgres holds: 2,704 bytes, where they cannot be compressed."""

from __future__ import annotations

import os
import random
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, event

from common.settings import load_settings
from storage.database import Database
from storage.records import ImageRef
from storage.schema_version import ensure_schema, upgrade
from tests.unit.storage.nights import add, ask, begin_run, change, label_all
from tests.unit.storage.test_schema_version import older_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    database = Database(load_settings(database_url=database_url).database_url)
    yield database
    database.close()


def chinese(size: int, seed: int = 0) -> str:
    """Return a path of about so many bytes that no compression makes shorter."""
    drawn = random.Random(seed)  # noqa: S311 - the same in each run
    names = ["".join(chr(drawn.randrange(0x4E00, 0x9FA5)) for _ in range(80)) for _ in range(size // 241)]
    return "/" + "/".join(names)


#: A path whose bytes are not UTF-8, and whose name in hexadecimal is twice as long.
LONG_BYTES = os.fsdecode(b"/" + random.Random(0).randbytes(4000).translate(None, b"/\0"))  # noqa: S311 - see above
#: With what has a meaning in SQL or in an index's expression.
ODD = ["/a\\b\\" + chinese(3000), "/'\"%s:x\n" + chinese(3000)]
PATHS = [chinese(3000), chinese(3000, 1), chinese(4090), *ODD, LONG_BYTES]


def refs(*paths: str, size: int = 10) -> list[ImageRef]:
    return [ImageRef(path, size, 1) for path in paths]


def test_paths_of_any_length_are_stored_and_come_back_as_they_were(database: Database) -> None:
    run = begin_run(database)
    assert add(database, run, refs(*PATHS)).added == len(PATHS)
    label_all(database, run)
    assert ask(database, "select count(*) from results where status = 'ok'") == [(len(PATHS),)]
    shown = {path for (path,) in ask(database, "select path from results")}
    assert shown >= set(PATHS) - {LONG_BYTES}


def test_a_long_path_is_known_again(database: Database) -> None:
    run = begin_run(database)
    add(database, run, refs(*PATHS))
    assert add(database, run, refs(*PATHS)).added == 0
    label_all(database, run)
    changed = add(database, run, refs(*PATHS, size=11))
    assert (changed.added, ask(database, "select count(*) from images")) == (len(PATHS), [(len(PATHS),)])


@pytest.mark.parametrize(
    ("one", "other"),
    [("/a\\n", "/a\n"), ("/a\\\\", "/a\\"), ("/\\101", "/A"), ("/\u00e9", "/e\u0301"), ("/a\n", "/a"), ("/a", "/A")],
)
def test_paths_that_look_alike_are_two_images(database: Database, one: str, other: str) -> None:
    run = begin_run(database)
    assert add(database, run, refs(one, other)).added == 2
    assert add(database, run, refs(other, one)).added == 0


def test_postgres_finds_paths_without_a_look_at_the_whole_table(postgres_url: str) -> None:
    with closing(Database(load_settings(database_url=postgres_url).database_url)) as database:
        ensure_schema(database)
        run = begin_run(database)
        many = "select '/' || n, '', 1, 1 from generate_series(1, 20000) n"
        change(database, f"insert into images (path, path_hex, size, mtime_ns) {many}")
        change(database, "analyze images")
        plans: list[str] = []

        def explain(connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
            if statement.startswith("SELECT refs") or "FROM unnest" in statement:
                driver: Any = connection.connection.driver_connection
                plans.extend(line for (line,) in driver.execute(f"EXPLAIN {statement}", parameters))

        event.listen(database._engine, "before_cursor_execute", explain)
        add(database, run, refs("/1", "/2"))
        assert any("images_by_name" in line for line in plans), plans
        assert not any("Seq Scan on images" in line for line in plans), plans


def test_an_older_database_keeps_its_images_and_takes_long_paths_from_then_on(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        older_version(patch, tmp_path / "older", "0003")
        ensure_schema(empty)
        change(empty, "insert into images (path, path_hex, size, mtime_ns) values ('/a\\b.jpg', '', 10, 1)")
    upgrade(empty)
    run = begin_run(empty)
    assert add(empty, run, refs("/a\\b.jpg", *PATHS)).added == 1 + len(PATHS)
    assert ask(empty, "select count(*) from images") == [(1 + len(PATHS),)]
