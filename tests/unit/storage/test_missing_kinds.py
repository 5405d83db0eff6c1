"""What was labelled before there were kinds gets them from its three labels, beside running workers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

import storage.missing_kinds
from common.settings import load_settings
from storage.database import Database
from storage.missing_kinds import Filled, count_missing_kinds, fill_kinds, lacks_kinds
from storage.runs import open_run
from storage.schema_version import REVISION, ensure_schema, upgrade
from storage.things import find_images, things_in
from tests.unit.storage.nights import (
    MODEL,
    add,
    ask,
    begin,
    change,
    failure,
    photos,
    sample,
    store_with_sample,
    success,
    take,
)
from tests.unit.storage.test_schema_version import older_version
from vocabulary.kinds import classes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

IMAGENET = [one.label for one in classes()]
DOG = (("golden retriever", 0.31), ("Labrador retriever", 0.30), ("kuvasz", 0.22))
CATS = (("pug", 0.3), ("tabby", 0.25), ("tiger cat", 0.2))


def label_without_kinds(
    database: Database, count: int, labels: Sequence[str] = IMAGENET, architecture: str = "resnet18"
) -> None:
    """Label images as version 0.2.0 did: the second is unsure, the third fails, all others are dogs."""
    model = replace(MODEL, architecture=architecture)
    run, _ = open_run(database, model, engine="openvino", roots=["/photos"], filters={}, labels=labels)
    add(database, run, photos(count))
    (chunk,) = take(database, run)
    claimed = begin(database, chunk)
    results = [
        failure(image.image_id) if place == 2 else success(image.image_id, labels=CATS if place == 1 else DOG)
        for place, image in enumerate(claimed.images)
    ]
    store_with_sample(database, claimed, results, sample())


def fill(database: Database) -> Filled:
    return fill_kinds(database, lambda *_: None)


def test_kinds_are_the_sums_of_three_labels(database: Database) -> None:
    label_without_kinds(database, 3)

    assert (lacks_kinds(database), count_missing_kinds(database)) == (True, 2)
    assert fill(database) == Filled(2, 0)

    assert (lacks_kinds(database), count_missing_kinds(database)) == (False, 0)
    assert ask(database, "select kind, kind_score from results order by path") == [
        ("dog", pytest.approx(0.83)),
        ("cat", pytest.approx(0.45)),
        (None, None),
    ]
    things = ask(database, "select thing, score from things where path = '/photos/00001.jpg' order by score, thing")
    assert things[:2] == [("dog", pytest.approx(0.3)), ("cat", pytest.approx(0.45))]
    assert ("animal", pytest.approx(0.75)) in things
    assert len(list(find_images(database, things_in(database, "dog")))) == 2


def test_what_is_there_is_left_alone(database: Database) -> None:
    """An exact kind, of an image that a worker has labelled since."""
    label_without_kinds(database, 2)
    change(database, "update outcomes set kind = 'dog', kind_score = 0.9 where label_1 = 'pug'")

    assert fill(database) == Filled(1, 0)
    assert ask(database, "select kind, kind_score from outcomes where label_1 = 'pug'") == [("dog", 0.9)]
    assert fill(database) == Filled(0, 0)


def test_a_model_of_other_labels_has_none_and_is_told(database: Database) -> None:
    label_without_kinds(database, 3)
    label_without_kinds(database, 4, ["scratch", "dent"], "of_their_own")

    assert count_missing_kinds(database) == 2
    assert fill(database) == Filled(2, 3)
    assert not lacks_kinds(database)


def test_it_goes_on_where_it_was_interrupted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.missing_kinds, "_BATCH", 4)
    label_without_kinds(database, 15)
    told = []

    def interrupt(done: int, total: int) -> None:
        told.append((done, total))
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_kinds(database, interrupt)
    assert told == [(0, 14), (4, 14), (8, 14)]
    assert count_missing_kinds(database) == 6
    assert fill(database) == Filled(6, 0)
    assert ask(database, "select count(*) from things where thing = 'dog'") == [(14,)]


def test_missing_kinds_are_found_by_their_own_index(database: Database) -> None:
    """However many images have kinds, and however many failed: else each batch would look through all of them."""
    label_without_kinds(database, 3)
    sent: list[tuple[str, Any]] = []

    @event.listens_for(database._engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        sent.append((statement, parameters))

    fill(database)
    explain = "explain query plan" if database.is_sqlite else "explain"
    asked = [one for one in sent if "outcomes.kind IS NULL" in one[0]]
    with database.read() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("set local enable_seqscan = off")  # of three rows
        plans = [str(connection.exec_driver_sql(f"{explain} {query}", values).all()) for query, values in asked]
    assert len(plans) >= 4
    assert [plan for plan in plans if "outcomes_without_kind" not in plan] == []


@pytest.fixture
def of_schema_0004(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database that version 0.2.0 made, with two images that have labels and one that has none."""
    database = Database(load_settings(database_url=database_url).database_url)
    at = "'2025-01-01 22:00:00+00:00'"
    labels = ", ".join(f"'{label}', {score}" for label, score in DOG)
    with monkeypatch.context() as patch:
        older_version(patch, tmp_path / "old", "0004")
        patch.setattr("storage.schema_version.has_vocabulary", lambda _: True)  # whose tables came later
        ensure_schema(database)
        for statement in (
            f"insert into models values (1, 'k', 'resnet18', 'V1', 'w', 'fp32', '{{}}', null, {at})",
            (
                "insert into runs (id, model_id, engine, roots, filters, created_at, skipped, ignored)"
                f" values (1, 1, 'openvino', '[]', '{{}}', {at}, 0, 0)"
            ),
            "insert into chunks (id, run_id, images, attempt, starts, suspect_starts) values (1, 1, 3, 1, 1, 0)",
            *(f"insert into images values ({one}, '/photos/{one}.jpg', '', 10, {one})" for one in (1, 2, 3)),
            *(
                "insert into outcomes (image_id, model_id, run_id, chunk_id, status, label_1, score_1, label_2,"
                " score_2, label_3, score_3, worker, labelled_at)"
                f" values ({one}, 1, 1, 1, 'ok', {labels}, 'host-1/1', {at})"
                for one in (1, 2)
            ),
            (
                "insert into outcomes (image_id, model_id, run_id, chunk_id, status, error_kind, worker, labelled_at)"
                f" values (3, 1, 1, 1, 'failed', 'damaged', 'host-1/1', {at})"
            ),
        ):
            change(database, statement)
        with database.write() as connection:
            for index, label in enumerate(IMAGENET):
                text = label.replace("'", "''")
                connection.exec_driver_sql(f"insert into categories values (1, {index}, '{text}')")
    yield database
    database.close()


def test_a_database_of_version_0_2_0_keeps_its_labels_and_gets_kinds(of_schema_0004: Database) -> None:
    assert upgrade(of_schema_0004) == ("0004", REVISION)
    assert ask(of_schema_0004, "select count(*), count(label_1), count(kind) from results") == [(3, 2, 0)]
    assert count_missing_kinds(of_schema_0004) == 2

    assert fill(of_schema_0004) == Filled(2, 0)
    assert ask(of_schema_0004, "select path, score from things where thing = 'dog' order by path") == [
        ("/photos/1.jpg", pytest.approx(0.83)),
        ("/photos/2.jpg", pytest.approx(0.83)),
    ]
