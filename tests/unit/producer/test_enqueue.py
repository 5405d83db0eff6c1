"""Writing a run's manifest: from a scan, and from what failed before."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

import producer.enqueue
from common.errors import ArchiveError, DatabaseBusyError, DatabaseError
from common.settings import Settings, load_settings
from producer.enqueue import Enqueued, write_manifest, write_retry_manifest
from storage.runs import get_run, progress
from tests.unit.archive.archives import put
from tests.unit.storage.nights import add, ask, begin_run, change, label_all, members, photos, take

if TYPE_CHECKING:
    from pathlib import Path

    from storage.database import Database
    from storage.records import Run


@pytest.fixture
def run(database: Database, root: Path) -> Run:
    """A run over an archive with ten pictures and a text."""
    put(root, *(f"{number}.png" for number in range(10)))
    put(root, "note.txt", content=b"hello")
    return begin_run(database, root=str(root))


def write(database: Database, run: Run, settings: Settings | None = None) -> Enqueued:
    enqueued = Enqueued()
    write_manifest(database, run, settings or load_settings(), enqueued, threading.Event())
    return enqueued


def state(database: Database, run: Run) -> str:
    stored = get_run(database, run.id)
    assert stored
    return stored.state


def test_every_image_of_the_archive_gets_into_the_manifest(database: Database, run: Run) -> None:
    assert write(database, run).added == 10
    assert progress(database, run.id).images == 10


def test_the_run_knows_what_the_scan_left_out(database: Database, run: Run) -> None:
    write(database, run)
    stored = get_run(database, run.id)
    assert stored
    assert (stored.state, stored.ignored, stored.skipped) == ("labelling", 1, 0)


def test_writing_it_again_adds_only_what_is_new(database: Database, run: Run, root: Path) -> None:
    write(database, run)
    put(root, "new.png")
    assert write(database, run).added == 1


def test_images_with_an_outcome_of_an_earlier_run_are_counted_as_up_to_date(database: Database, run: Run) -> None:
    write(database, run)
    label_all(database, run)
    again = begin_run(database, root=run.roots[0])
    assert again.id != run.id
    assert write(database, again).up_to_date == 10


def test_no_chunk_is_larger_than_the_setting_allows(database: Database, run: Run) -> None:
    write(database, run, load_settings(chunk_size=3))
    assert sorted(ask(database, "select images from chunks"), reverse=True) == [(3,), (3,), (3,), (1,)]


def test_the_first_chunks_are_small_so_that_every_worker_begins_at_once(database: Database, run: Run) -> None:
    write(database, run)
    assert ask(database, "select max(images) from chunks") == [(producer.enqueue.FIRST_CHUNK_SIZE,)]


def test_what_a_slow_share_gives_in_a_while_is_added_though_it_fills_no_batch(
    database: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer.enqueue, "_BATCH_S", 0.0)
    assert write(database, run).added == 10
    assert ask(database, "select count(*), max(images) from chunks") == [(10, 1)]


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_what_is_known_and_what_is_new_are_told_apart_in_batches_of_any_size(
    database: Database, run: Run, root: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """What became of one batch only decides how the next one is looked at."""
    monkeypatch.setattr(producer.enqueue, "FIRST_BATCH", batch)
    monkeypatch.setattr(producer.enqueue, "LARGEST_BATCH", batch)
    write(database, run)
    label_all(database, run)
    put(root, "00.png", "50.png", "51.png", "99.png")
    (root / "7.png").write_bytes(b"another one")
    again = write(database, begin_run(database, root=run.roots[0]))
    assert (again.added, again.up_to_date) == (5, 9)


def test_a_scan_that_is_stopped_leaves_the_run_unscanned(database: Database, run: Run) -> None:
    stop = threading.Event()
    stop.set()
    write_manifest(database, run, load_settings(), Enqueued(), stop)
    assert state(database, run) == "scanning"


def test_an_archive_that_goes_away_leaves_the_run_unscanned(database: Database, run: Run, root: Path) -> None:
    root.rename(root.with_name("unmounted"))
    with pytest.raises(ArchiveError):
        write(database, run)
    assert state(database, run) == "scanning"


def test_an_image_that_has_gone_since_keeps_its_outcome(database: Database, run: Run, root: Path) -> None:
    write(database, run)
    label_all(database, run)
    (root / "0.png").unlink()
    write(database, run)
    assert progress(database, run.id).ok == 10


def test_a_retry_takes_what_failed_and_nothing_else(database: Database) -> None:
    first = begin_run(database)
    add(database, first, photos(5))
    label_all(database, first, failing={"/photos/00001.jpg", "/photos/00003.jpg"})
    retry = begin_run(database, include=["retry"])
    write_retry_manifest(
        database, retry, load_settings(), Enqueued(), threading.Event(), failed_run=first.id, kinds=["damaged"]
    )
    (chunk,) = take(database, retry)
    assert [image.path for image in members(database, chunk)] == ["/photos/00001.jpg", "/photos/00003.jpg"]


def test_a_retry_that_is_written_again_adds_nothing(database: Database) -> None:
    first = begin_run(database)
    add(database, first, photos(3))
    label_all(database, first, failing={"/photos/00001.jpg"})
    retry = begin_run(database, include=["retry"])
    written = [Enqueued(), Enqueued()]
    for enqueued in written:
        stop = threading.Event()
        write_retry_manifest(database, retry, load_settings(), enqueued, stop, failed_run=first.id, kinds=[])
    assert [enqueued.added for enqueued in written] == [1, 0]


#: What a database of somebody's may refuse of its own accord: here, names that begin with `bad`.
_REFUSAL = {
    True: (
        "create trigger no_bad before insert on images when new.path like '%/bad%'"
        " begin select raise(abort, 'no bad names'); end"
    ),
    False: "alter table images add constraint no_bad check (path not like '%/bad%')",
}


def test_an_image_that_the_database_refuses_is_left_out_by_name_and_all_others_are_added(
    database: Database, run: Run, root: Path
) -> None:
    change(database, _REFUSAL[database.is_sqlite])
    put(root, "bad1.png", "folder/bad2.png", *(f"folder/{number}.png" for number in range(200)))
    enqueued = write(database, run)
    assert (enqueued.added, progress(database, run.id).images, state(database, run)) == (210, 210, "labelling")
    assert sorted(one.path for one in enqueued.refused) == [f"{root}/bad1.png", f"{root}/folder/bad2.png"]
    assert all("does not take a value" in one.reason for one in enqueued.refused)


def test_an_archive_of_which_the_database_refuses_all_comes_to_its_end(
    database: Database, run: Run, root: Path
) -> None:
    change(database, _REFUSAL[database.is_sqlite].replace("/bad%", "/%"))
    enqueued = write(database, run)
    assert (enqueued.added, len(enqueued.refused), state(database, run)) == (0, 10, "finished")


def test_a_batch_is_tried_again_in_its_place_while_the_database_does_not_answer(
    database: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer.enqueue, "_PAUSE_S", 0.01)
    busy = iter([True, True, False, True, False, False])

    def fail(*_: object) -> None:
        if next(busy, False):
            raise DatabaseBusyError

    event.listen(database._engine, "commit", fail)
    enqueued = write(database, run)
    assert (enqueued.added, progress(database, run.id).images, enqueued.scan.ignored) == (10, 10, 1)


def test_a_database_that_stays_silent_ends_the_writing_and_not_with_an_error_that_others_wait_out(
    database: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer.enqueue, "_PAUSE_S", 0.01)
    monkeypatch.setattr(producer.enqueue, "PATIENCE_S", 0.05)

    def fail(*_: object) -> None:
        raise DatabaseBusyError("The database does not answer.")

    event.listen(database._engine, "commit", fail)
    with pytest.raises(DatabaseError, match="does not answer") as caught:
        write(database, run)
    assert not isinstance(caught.value, DatabaseBusyError)
