"""What images show: by the newest labels of each, with what people said, in pages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

import storage.keywords
from storage.correction_tables import corrections
from storage.keywords import archive_roots, path_pages, shown_pages
from storage.records import ImageRef
from tests.unit.storage.nights import (
    MODEL,
    add,
    begin,
    begin_run,
    failure,
    number,
    photos,
    sample,
    store_with_sample,
    success,
    take,
)

if TYPE_CHECKING:
    from storage.database import Database
    from storage.keywords import Shown
    from storage.records import Model

DOG = (("dog", 0.9), ("mammal", 0.95), ("animal", 0.96), ("ball", 0.06))
CAT = (("cat", 0.7), ("mammal", 0.8), ("animal", 0.9))


def label(
    database: Database,
    labels: tuple[tuple[str, float], ...] = (("golden retriever", 0.75),),
    things: tuple[tuple[str, float], ...] = DOG,
    *,
    model: Model = MODEL,
    failed: bool = False,
) -> None:
    """Label three images, all the same, but for their contents."""
    run = begin_run(database, model)
    add(database, run, photos(3), relabel=True)
    for chunk in take(database, run):
        claimed = begin(database, chunk)
        results = [
            failure(one.image_id)
            if failed
            else success(one.image_id, labels=labels, things=things, content=f"{one.image_id:032}")
            for one in claimed.images
        ]
        store_with_sample(database, claimed, results, sample())


def correct(database: Database, image_id: int, **said: str) -> None:
    made_at = database.clock()
    with database.write() as connection:
        values = {
            "image_id": image_id,
            "content": f"{image_id:032}",
            "model_id": 1,
            "model_label": "golden retriever",
            "model_score": 0.75,
            "answer": "label",
            "made_at": made_at,
        }
        connection.execute(insert(corrections).values(**values | said))


def seen(database: Database, min_score: float = 0.5) -> dict[str, Shown]:
    return {one.path: one for page in shown_pages(database, min_score) for one in page}


FIRST = "/photos/00000.jpg"


@pytest.fixture
def filled(database: Database) -> Database:
    label(database)
    return database


def test_things_and_the_label_count_from_a_score_on(filled: Database) -> None:
    assert seen(filled)[FIRST] == (FIRST, ("animal", "dog", "mammal"), "golden retriever")
    assert seen(filled, 0.8)[FIRST] == (FIRST, ("animal", "dog", "mammal"), None)
    assert seen(filled, 0.96)[FIRST] == (FIRST, ("animal",), None)


def test_of_several_models_the_newest_counts_alone(filled: Database) -> None:
    """Also where both have one name, and differ in their weights only."""
    label(filled, (("tabby", 0.6),), CAT, model=replace(MODEL, weights="b" * 64))
    assert seen(filled)[FIRST] == (FIRST, ("animal", "cat", "mammal"), "tabby")


def test_a_failure_hides_no_older_labels(filled: Database) -> None:
    label(filled, model=replace(MODEL, architecture="resnet50"), failed=True)
    assert seen(filled)[FIRST].label == "golden retriever"


def test_images_without_labels_show_nothing(database: Database) -> None:
    label(database, failed=True)
    assert seen(database) == {}
    assert sum(map(len, path_pages(database))) == 3


def test_what_a_person_said_it_is_counts_whatever_the_score(filled: Database) -> None:
    correct(filled, number(filled, f"select id from images where path = '{FIRST}'"), label="tabby")
    assert seen(filled, 1.0)[FIRST] == (FIRST, ("animal", "cat", "mammal"), "tabby")


def test_what_a_person_denied_is_not_shown(filled: Database) -> None:
    image_id = number(filled, f"select id from images where path = '{FIRST}'")
    correct(filled, image_id, answer="not", not_thing="dog")
    assert seen(filled)[FIRST] == (FIRST, ("animal", "mammal"), None)


def test_pages_are_bounded_and_each_image_comes_once(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.keywords, "PAGE_IMAGES", 2)
    assert [len(page) for page in shown_pages(filled, 0.5)] == [2, 1]
    assert [len(page) for page in path_pages(filled)] == [2, 1]


def test_a_page_holds_no_transaction_while_it_is_used(filled: Database) -> None:
    for _ in shown_pages(filled, 0.5):
        label(filled)  # writes, and would wait for a writer's lock on itself
        break


def test_names_that_are_not_utf8_come_back_as_they_are(database: Database) -> None:
    run = begin_run(database)
    add(database, run, [ImageRef("/photos/caf\udce9.jpg", 1, 1)])
    ((one,),) = path_pages(database)
    assert one.path == "/photos/caf\udce9.jpg"


def test_the_roots_are_those_of_runs_that_labelled(filled: Database) -> None:
    begin_run(filled, root="/empty")
    assert archive_roots(filled) == ["/photos"]
