"""An image's own page: what models and people said, and where the same bytes are; names for what is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.errors import QueryTimeoutError
from storage.corrections import Word, find_picture, is_label, right, say, take_back
from storage.gallery import suggestions as suggested
from storage.gallery.picture import Copy, Picture, read_picture
from storage.gallery.suggestions import Suggestion, suggestions
from tests.unit.storage import gallery_archive as archive
from tests.unit.storage.nights import change
from tests.unit.storage.pictures import OTHER_MODEL, RETRIEVER, TABBY, content_of, label_as
from vocabulary.names import Thing

if TYPE_CHECKING:
    from storage.database import Database

CAT = "/photos/cat.jpg"


def picture(database: Database, image_id: int = 1) -> Picture:
    found = read_picture(database, image_id)
    assert found
    return found


def test_all_outcomes_are_there_the_newest_first(database: Database) -> None:
    label_as(database, {CAT: TABBY})
    label_as(database, {CAT: ("lynx", "wild cat")}, OTHER_MODEL)
    found = picture(database)
    assert [(one.model, one.labels, one.kind) for one in found.outcomes] == [
        ("mobilenet_v2", (("lynx", 0.75),), "wild cat"),
        ("resnet18", (("tabby", 0.75),), "cat"),
    ]
    assert (found.newest.path, found.newest.label, found.newest.run_id, found.size) == (CAT, "lynx", 2, 1)
    assert (found.roots, found.said, found.copies) == (("/photos",), (), ())


def test_what_people_said_is_there_with_its_times(database: Database) -> None:
    label_as(database, {CAT: TABBY, "/photos/copy.jpg": TABBY}, contents={CAT: "c" * 32, "/photos/copy.jpg": "c" * 32})
    cat = find_picture(database, CAT)
    for word in (right(cat), is_label(cat, "pug"), Word("not", not_thing="bird")):
        say(database, [(cat, word)])
    said = picture(database, 2).said  # it holds for the copy
    assert [(one.word.answer, one.word.label, one.ended_at is None) for one in said] == [
        *(("right", "tabby", False), ("label", "pug", True), ("not", None, True)),
    ]
    assert said[0].ended_at == said[1].made_at
    assert {(one.image_id, one.in_review) for one in said} == {(cat.image_id, False)}
    assert (picture(database, 2).newest.label, picture(database, 2).newest.kind) == ("pug", "dog")
    take_back(database, [cat])
    assert [one.ended_at is None for one in picture(database).said] == [False] * 4


def test_files_of_the_same_bytes_are_named(database: Database) -> None:
    same = {CAT: content_of("cat"), "/photos/copy.jpg": content_of("cat")}
    label_as(
        database, {**dict.fromkeys(same, TABBY), "/photos/dog.jpg": RETRIEVER, "/photos/old.jpg": None}, contents=same
    )
    assert picture(database, 1).copies == (Copy(2, "/photos/copy.jpg"),)
    assert (picture(database, 3).copies, picture(database, 4).copies) == ((), ())


def test_an_image_that_took_labels_names_the_one_that_had_them(database: Database) -> None:
    label_as(database, {CAT: TABBY, "/photos/copy.jpg": TABBY})
    change(database, "update outcomes set copied_from = 1 where image_id = 2")
    assert [picture(database, number).outcomes[0].source for number in (1, 2)] == [None, Copy(1, CAT)]


def test_a_failure_has_its_reason_and_no_labels(database: Database) -> None:
    label_as(database, {CAT: None})
    found = picture(database)
    assert (found.newest.status, found.newest.error_kind, found.newest.label) == ("failed", "damaged", None)
    assert (found.outcomes[0].labels, found.outcomes[0].error) == ((), "it is damaged")


def test_a_name_that_is_not_utf8_is_the_one_that_files_have(database: Database) -> None:
    archive.plant(database)
    assert [picture(database, number).newest.path for number in (10, 11)] == [archive.path(10), archive.path(11)]


def test_what_is_not_there_is_no_picture(database: Database) -> None:
    label_as(database, {CAT: TABBY})
    assert read_picture(database, 2) is None


def test_what_the_archive_has_most_of_comes_first(database: Database) -> None:
    label_as(database, {"/1.jpg": RETRIEVER, "/2.jpg": RETRIEVER, "/3.jpg": TABBY})
    assert suggestions(database, "Hun")[0] == Suggestion(Thing("dog", is_kind=True), "Hund", 2)
    assert suggestions(database, "golden r")[0] == Suggestion(
        Thing("golden retriever", is_kind=False), "golden retriever", 2
    )
    assert suggestions(database, "猫")[0].thing == Thing("cat", is_kind=True)
    assert {one.images for one in suggestions(database, "car")} == {0}


@pytest.mark.parametrize("typed", ["", " ", "%", "_", "zzzzz", "\0", "'"])
def test_what_begins_no_name_suggests_nothing(database: Database, typed: str) -> None:
    label_as(database, {CAT: TABBY})
    assert suggestions(database, typed) == []


def test_few_are_suggested_and_each_name_once(database: Database) -> None:
    label_as(database, {CAT: TABBY})
    found = suggestions(database, "e", 5)
    assert len({one.matched for one in found}) == 5


def test_names_are_suggested_though_counting_took_too_long(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_long(*_: object) -> None:
        raise QueryTimeoutError

    label_as(database, {CAT: TABBY})
    monkeypatch.setattr(suggested, "_counts", too_long)
    assert (suggestions(database, "cat")[0].thing.key, suggestions(database, "cat")[0].images) == ("cat", None)


def test_a_number_that_no_column_holds_is_no_picture(database: Database) -> None:
    assert read_picture(database, 2**63) is None
