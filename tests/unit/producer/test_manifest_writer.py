"""The manifest is written in a thread beside the labelling: to its end, until it is stopped, or until it fails."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from common.errors import ArchiveError, DatabaseError
from common.settings import load_settings
from producer.enqueue import write_manifest
from producer.manifest_writer import ManifestWriter
from storage.database import Database
from storage.runs import get_run, open_run, progress
from storage.schema_version import ensure_schema
from tests.command import wait_until
from tests.unit.archive.archives import put
from tests.unit.storage.nights import MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.records import Run

IMAGES = 300


@pytest.fixture
def run(database: Database, root: Path) -> Run:
    """A run over an archive of a few hundred files."""
    put(root, *(f"{number // 100}/{number:05}.jpg" for number in range(IMAGES)))
    (root / "words.txt").write_text("Dear Ada")
    run, _ = open_run(database, MODEL, engine="openvino", roots=[str(root)], filters={})
    return run


def writer_of(database: Database, run: Run) -> ManifestWriter:
    return ManifestWriter(partial(write_manifest, database, run, load_settings()))


def error_of(writer: ManifestWriter) -> Exception | None:
    try:
        writer.check()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is held against what it must be
        return error
    return None


def test_it_writes_the_whole_manifest_and_says_what_it_found(database: Database, run: Run) -> None:
    writer = writer_of(database, run)
    assert not writer.is_complete
    writer.start()
    wait_until(lambda: writer.is_complete or error_of(writer) or None)

    writer.check()
    assert (writer.enqueued.added, writer.enqueued.up_to_date, writer.enqueued.scan.ignored) == (IMAGES, 0, 1)
    assert progress(database, run.id).images == IMAGES
    stored = get_run(database, run.id)
    assert stored
    assert (stored.state, stored.ignored) == ("labelling", 1)
    writer.stop()
    assert writer.is_complete


def test_what_ends_it_is_raised_where_the_run_is_followed(database: Database, run: Run, root: Path) -> None:
    root.rename(root.with_name("elsewhere"))
    writer = writer_of(database, run)
    writer.start()

    error = wait_until(lambda: error_of(writer))

    assert isinstance(error, ArchiveError)
    assert str(root) in str(error)
    assert not writer.is_complete
    assert error_of(writer) is error  # as often as it is asked


def test_one_that_is_stopped_before_it_has_begun_writes_nothing(database: Database, run: Run) -> None:
    writer = writer_of(database, run)
    writer.stop()
    writer.start()
    writer.stop()

    assert (writer.is_complete, error_of(writer)) == (False, None)
    assert progress(database, run.id).images == 0
    stored = get_run(database, run.id)
    assert stored
    assert stored.state == "scanning"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the one lock that all writers need."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_one_that_is_stopped_while_it_waits_for_the_database_ends_and_the_next_one_completes_the_manifest(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.connecting.SQLITE_BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr("producer.manifest_writer._STOP_S", 240.0)
    database = Database(f"sqlite:///{tmp_path / 'night.db'}")
    ensure_schema(database)
    put(root, *(f"{number:05}.jpg" for number in range(10)))
    run, _ = open_run(database, MODEL, engine="openvino", roots=[str(root)], filters={})
    with locked(tmp_path / "night.db"):
        writer = writer_of(database, run)
        writer.start()
        writer.stop()
        assert isinstance(error_of(writer), DatabaseError | None)
    assert not writer.is_complete
    assert progress(database, run.id).images == 0

    again = writer_of(database, run)
    again.start()
    wait_until(lambda: again.is_complete or error_of(again) or None)
    assert progress(database, run.id).images == 10
    database.close()


def test_one_that_never_ends_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a share that does not answer: the thread ends with the process."""
    monkeypatch.setattr("producer.manifest_writer._STOP_S", 0.1)
    answer, asked = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        asked.set()
        answer.wait()

    writer = ManifestWriter(hang)
    writer.start()
    asked.wait()

    writer.stop()

    assert (writer.is_complete, error_of(writer)) == (False, None)
    (thread,) = [one for one in threading.enumerate() if one.name == "manifest"]
    assert thread.daemon
    answer.set()
    thread.join()
