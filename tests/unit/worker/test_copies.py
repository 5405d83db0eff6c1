"""The same bytes are labelled once, on SQLite and on Postgres: copies and moved files take their labels."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

import pictures.decoding
import worker.copies
import worker.labelling
from archive.failures import FailureKind, ImageError
from common.errors import EngineError
from storage.identity import database_identity
from storage.manifest import add_images, mark_published
from storage.missing_kinds import fill_kinds
from storage.records import ImageRef
from storage.runs import COMPUTE_ALL, open_run
from tests.processes import NO_PROCESS
from tests.unit.storage.nights import change
from worker.chunk_errors import ReplaceProcess
from worker.process import WorkerProcess
from worker.service import middleware_of
from worker.task import label_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.chunk_claims import Claim
    from storage.database import Database
    from storage.records import Model, Outcome


class Archive:
    """Photos in a folder, a database, and a worker process without Celery that labels what it is told to."""

    def __init__(self, settings: Settings, ready: ReadyModel, photos: Path, root: Path, database: Database) -> None:
        self.root = root
        self.database = database
        self._photos = sorted(photos.glob("*.jpg"))
        self._ready = ready
        url = database.url.render_as_string(hide_password=False)
        self.process = WorkerProcess(settings.model_copy(update={"database_url": url}), main_pid=NO_PROCESS)
        self._middleware = middleware_of(self.process, NO_PROCESS)
        self.decoded: list[str] = []  #: contents, in the order in which they were decoded

    def photo(self, number: int, name: str, size: int | None = None) -> Path:
        """Put a photo under this name, or its first bytes."""
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self._photos[number].read_bytes()[:size])
        return path

    def label(
        self, *names: str, chunk_size: int = 64, filters: Mapping[str, Any] | None = None, model: Model | None = None
    ) -> dict[str, dict[str, Any]]:
        """Label these files in a run of their own; return the rows of `results` of its model, by name."""
        ready = self._ready
        run, _ = open_run(
            self.database,
            model or ready.model,
            engine=ready.engine,
            roots=[str(self.root)],
            filters=filters or {"include": list(names)},
            labels=ready.categories,
        )
        refs = []
        for name in names:
            status = os.stat(self.root / name)
            refs.append(ImageRef(str(self.root / name), status.st_size, status.st_mtime_ns))
        add_images(self.database, run, refs, chunk_size=chunk_size, relabel=bool(filters))
        self.decoded.clear()
        for chunk in mark_published(self.database, run.id, 100):
            label_chunk(self.process, self._middleware, database_identity(self.database), chunk.id, chunk.attempt)
        return self.results(run.model.precision)

    def results(self, precision: str = "fp32") -> dict[str, dict[str, Any]]:
        query = text("select * from results where precision = :precision")
        with self.database.read() as connection:
            rows = connection.execute(query, {"precision": precision}).mappings().all()
        return {os.path.relpath(row["path"], self.root): dict(row) for row in rows}

    def things(self) -> dict[str, list[tuple[str, float]]]:
        query = text("select path, thing, score from things order by thing")
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return {
            name: [(row.thing, row.score) for row in rows if row.path == str(self.root / name)]
            for name in {os.path.relpath(row.path, self.root) for row in rows}
        }


@pytest.fixture
def archive(
    settings: Settings,
    resnet18: ReadyModel,
    photos: Path,
    root: Path,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Archive]:
    archive = Archive(settings, resnet18, photos, root.resolve(), database)
    really = pictures.decoding.decode

    def decode(data: bytes, *arguments: Any) -> Any:
        archive.decoded.append(next(path.name for path in archive.root.rglob("*.*") if path.read_bytes() == data))
        return really(data, *arguments)

    monkeypatch.setattr(worker.labelling, "decode", decode)
    yield archive
    archive.process.database.close()


def shared(row: Mapping[str, Any]) -> list[Any]:
    """Return what two images of the same bytes have in common."""
    names = ("status", "label_1", "score_1", "label_2", "score_2", "label_3", "score_3", "kind", "kind_score")
    return [row[name] for name in (*names, "width", "height", "warning", "content", "size_bytes", "computed_in")]


def test_of_the_same_bytes_in_a_chunk_one_is_computed(archive: Archive) -> None:
    archive.photo(0, "a.jpg")
    archive.photo(1, "b.jpg")
    for name in ("c.jpg", "d.jpg"):
        archive.photo(0, name)
    rows = archive.label("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    assert len(archive.decoded) == 2
    assert [rows[name]["copied_from"] for name in sorted(rows)] == [None, None, *[str(archive.root / "a.jpg")] * 2]
    assert shared(rows["a.jpg"]) == shared(rows["c.jpg"]) == shared(rows["d.jpg"])
    assert rows["a.jpg"]["label_1"] != rows["b.jpg"]["label_1"]
    things = archive.things()
    assert things["a.jpg"]
    assert things["a.jpg"] == things["c.jpg"] != things["b.jpg"]


def test_across_chunks_too(archive: Archive) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        archive.photo(0, name)
    rows = archive.label("a.jpg", "b.jpg", "c.jpg", chunk_size=1)
    assert len(archive.decoded) == 1
    assert [rows[name]["copied_from"] for name in sorted(rows)] == [None, *[str(archive.root / "a.jpg")] * 2]
    assert archive.things()["a.jpg"] == archive.things()["c.jpg"]


def test_a_moved_file_takes_the_labels_that_it_had(archive: Archive) -> None:
    archive.photo(0, "a.jpg")
    before = archive.label("a.jpg")["a.jpg"]
    (archive.root / "2026").mkdir()
    (archive.root / "a.jpg").rename(archive.root / "2026" / "moved.jpg")
    moved = archive.label("2026/moved.jpg")["2026/moved.jpg"]
    assert (archive.decoded, shared(moved)) == ([], shared(before))
    assert (moved["copied_from"], moved["decode_ms"], moved["infer_ms"]) == (before["path"], None, None)
    assert moved["total_ms"] == moved["read_ms"] > 0


def test_a_file_that_is_moved_twice_names_the_image_that_was_computed(archive: Archive) -> None:
    archive.photo(0, "a.jpg")
    for before, after in (("a.jpg", "b.jpg"), ("b.jpg", "c.jpg")):
        archive.label(before)
        (archive.root / before).rename(archive.root / after)
    rows = archive.label("c.jpg")
    assert (archive.decoded, rows["c.jpg"]["copied_from"]) == ([], rows["a.jpg"]["path"])


def test_a_file_whose_time_alone_has_changed_keeps_its_labels(archive: Archive) -> None:
    path = archive.photo(0, "a.jpg")
    before = archive.label("a.jpg")["a.jpg"]
    os.utime(path, (1, 1))
    after = archive.label("a.jpg")["a.jpg"]
    assert (archive.decoded, shared(after), after["copied_from"]) == ([], shared(before), None)
    assert after["modified_at"] != before["modified_at"]
    archive.photo(0, "b.jpg")
    assert archive.label("b.jpg")["b.jpg"]["copied_from"] == str(path)


def test_other_bytes_of_the_same_size_are_computed(archive: Archive) -> None:
    path = archive.photo(0, "a.jpg")
    archive.label("a.jpg")
    other = archive.photo(1, "b.jpg", path.stat().st_size)
    other.write_bytes(other.read_bytes().ljust(path.stat().st_size, b"\0"))
    rows = archive.label("b.jpg")
    assert archive.decoded == ["b.jpg"]
    assert rows["b.jpg"]["size_bytes"] == rows["a.jpg"]["size_bytes"]
    assert rows["b.jpg"]["label_1"] != rows["a.jpg"]["label_1"]


def test_a_file_whose_bytes_were_changed_is_computed_and_its_copies_keep_their_own(archive: Archive) -> None:
    """One that both are in one chunk: the source's old bytes have labels, and they are not its new ones."""
    archive.photo(0, "a.jpg")
    before = archive.label("a.jpg")["a.jpg"]
    data = (archive.root / "a.jpg").read_bytes()
    archive.photo(1, "a.jpg")
    (archive.root / "b.jpg").write_bytes(data)
    rows = archive.label("a.jpg", "b.jpg")
    assert sorted(archive.decoded) == ["a.jpg", "b.jpg"]
    assert shared(rows["b.jpg"]) == shared(before) != shared(rows["a.jpg"])
    assert rows["b.jpg"]["copied_from"] is None


def test_a_failure_is_not_copied(archive: Archive) -> None:
    archive.photo(0, "a.jpg", 300)
    archive.photo(0, "b.jpg", 300)
    rows = archive.label("a.jpg", "b.jpg")
    archive.photo(0, "c.jpg", 300)
    rows = archive.label("c.jpg")
    assert {row["status"] for row in rows.values()} == {"failed"}
    assert {row["copied_from"] for row in rows.values()} == {None}
    assert len(archive.decoded) == 1


def test_where_the_first_of_a_chunk_fails_the_second_is_tried_itself(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where memory is short for a moment."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        archive.photo(0, name)
    really, tries = pictures.decoding.decode, iter(range(10))

    def fail_once(*arguments: Any) -> Any:
        if next(tries) == 0:
            raise ImageError(FailureKind.TOO_LARGE, "planted")
        return really(*arguments)

    monkeypatch.setattr(worker.labelling, "decode", fail_once)
    rows = archive.label("a.jpg", "b.jpg", "c.jpg")
    assert [rows[name]["status"] for name in sorted(rows)] == ["failed", "ok", "ok"]
    assert [rows[name]["copied_from"] for name in sorted(rows)] == [None, None, rows["b.jpg"]["path"]]


def test_a_warning_is_copied(archive: Archive) -> None:
    for name in ("a.jpg", "b.jpg"):
        path = archive.photo(0, name)
        data = path.read_bytes()
        path.write_bytes(data[:-2000] + data[4000:5000] + data[-1000:])
    archive.label("a.jpg")
    rows = archive.label("b.jpg")
    assert rows["b.jpg"]["copied_from"] == rows["a.jpg"]["path"]
    assert rows["b.jpg"]["warning"] == rows["a.jpg"]["warning"]
    assert rows["a.jpg"]["warning"]


def test_another_model_computes_its_own(archive: Archive, resnet18: ReadyModel) -> None:
    for name in ("a.jpg", "b.jpg"):
        archive.photo(0, name)
    archive.label("a.jpg")
    change(archive.database, "update models set key = 'another', precision = 'bf16'")
    rows = archive.label("b.jpg", model=resnet18.model)
    assert (archive.decoded != [], rows["b.jpg"]["copied_from"]) == (True, None)


def test_who_labels_again_has_each_content_computed_once_more(archive: Archive) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        archive.photo(0, name)
    archive.label("a.jpg", "b.jpg", "c.jpg")
    change(archive.database, "update outcomes set label_1 = 'of before'")
    rows = archive.label("a.jpg", "b.jpg", "c.jpg", filters={"relabel": ["yes"]}, chunk_size=1)
    assert len(archive.decoded) == 1
    assert "of before" not in {row["label_1"] for row in rows.values()}
    assert [rows[name]["copied_from"] for name in sorted(rows)] == [None, *[rows["a.jpg"]["path"]] * 2]


def test_a_run_that_measures_computes_every_image(archive: Archive) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        archive.photo(0, name)
    archive.label("a.jpg")
    rows = archive.label("a.jpg", "b.jpg", "c.jpg", filters=COMPUTE_ALL)
    assert len(archive.decoded) == 3
    assert {row["copied_from"] for row in rows.values()} == {None}


@pytest.mark.parametrize("after", ["known_contents", "labels_of"])
def test_a_source_that_is_labelled_anew_meanwhile_gives_no_label_of_other_bytes(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    archive.photo(0, "a.jpg")
    archive.photo(0, "b.jpg")
    archive.photo(1, "other.jpg")
    before = archive.label("a.jpg")["a.jpg"]
    really: Callable[..., Any] = getattr(worker.copies, after)

    def and_then_changed(database: Database, claimed: Claim, *arguments: Any) -> Any:
        found = really(database, claimed, *arguments)
        change(archive.database, f"update outcomes set content = '{'0' * 32}', label_1 = 'other bytes'")
        return found

    monkeypatch.setattr(worker.copies, after, and_then_changed)
    rows = archive.label("b.jpg")
    assert shared(rows["b.jpg"]) == shared(before)
    assert rows["b.jpg"]["copied_from"] == (None if after == "known_contents" else rows["a.jpg"]["path"])


def test_a_copy_of_what_has_no_kind_yet_gets_one_with_it(archive: Archive) -> None:
    for name in ("a.jpg", "b.jpg"):
        archive.photo(0, name)
    archive.label("a.jpg")
    change(archive.database, "update outcomes set kind = null, kind_score = null")
    change(archive.database, "delete from image_things")
    assert archive.label("b.jpg")["b.jpg"]["kind"] is None
    filled = fill_kinds(archive.database, lambda *_: None)
    rows = archive.results()
    assert filled.results == 2
    assert rows["a.jpg"]["kind"] == rows["b.jpg"]["kind"] is not None


def test_a_chunk_that_is_retried_image_by_image_computes_each(archive: Archive) -> None:
    """What ended the process is looked for: each picture must have its turn."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        archive.photo(0, name)
    archive.label("a.jpg")
    run, _ = open_run(
        archive.database,
        archive._ready.model,
        engine=archive._ready.engine,
        roots=[str(archive.root)],
        filters={"include": ["b.jpg", "c.jpg"]},
    )
    refs = [ImageRef(str(archive.root / name), (archive.root / name).stat().st_size, 1) for name in ("b.jpg", "c.jpg")]
    add_images(archive.database, run, refs, chunk_size=64, relabel=False)
    change(archive.database, "update chunks set starts = 1 where done_at is null")
    archive.decoded.clear()
    (chunk,) = mark_published(archive.database, run.id, 1)
    label_chunk(archive.process, archive._middleware, database_identity(archive.database), chunk.id, chunk.attempt)
    assert len(archive.decoded) == 2
    assert {row["copied_from"] for row in archive.results().values()} == {None}


def test_a_process_that_only_copied_has_not_had_the_model_answer(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its model has not answered, and it counts among those that are replaced for that."""
    archive.photo(0, "a.jpg")
    archive.label("a.jpg")
    archive.photo(0, "b.jpg")
    archive.photo(1, "c.jpg")
    labeller = next(iter(archive.process._labellers.values()))
    for engine in labeller._engines:
        engine.has_answered = False
    archive.label("b.jpg")
    assert not archive.process.has_answered

    def broken(*_: Any) -> list[Outcome]:
        raise EngineError("planted")

    monkeypatch.setattr(labeller, "label", broken)
    with pytest.raises(ReplaceProcess) as raised:
        archive.label("c.jpg")
    assert not raised.value.has_answered
