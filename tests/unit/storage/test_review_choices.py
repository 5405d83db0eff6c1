"""Pictures that are worth asking about, without those of which somebody has said something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.errors import QueryTimeoutError
from storage.corrections import Word, labelled_with, right, say, take_back
from storage.review_choices import disagreed, least_sure, least_sure_of
from storage.things import things_in
from tests.unit.storage.nights import change
from tests.unit.storage.pictures import OTHER_MODEL, content_of, label_as

if TYPE_CHECKING:
    from storage.corrections import Picture
    from storage.database import Database

#: Of each path, the label, its kind, and the score of either.
NIGHT = {
    "/p/sure.jpg": ("tabby", "cat", 0.9, 0.95),
    "/p/unsure dog.jpg": ("pug", "dog", 0.3, 0.8),
    "/p/unsure cat.jpg": ("tabby", "cat", 0.2, 0.5),
    "/p/wolf.jpg": ("timber wolf", "wolf", 0.4, 0.45),
    "/p/castle.jpg": ("castle", "castle", 0.1, 0.2),
}


@pytest.fixture
def model_id(database: Database) -> int:
    """Five pictures, one that failed, and one whose content is not known."""
    said = {path: (label, kind) for path, (label, kind, *_) in NIGHT.items()}
    run = label_as(
        database, {**said, "/p/broken.jpg": None, "/p/old.jpg": ("tabby", "cat")}, contents={"/p/old.jpg": None}
    )
    for path, (_, _, score, kind_score) in NIGHT.items():
        where = f"image_id = (select id from images where path = '{path}')"
        change(database, f"update outcomes set score_1 = {score}, kind_score = {kind_score} where {where}")
    return run.model_id


def picture(database: Database, model_id: int, path: str) -> Picture:
    found = labelled_with(database, model_id, content_of(ascii(path)))
    assert found
    return found


def name(content: str | None) -> str | None:
    return next((path for path in NIGHT if content_of(ascii(path)) == content), content)


def test_the_smallest_score_comes_first_and_what_is_answered_or_skipped_no_more(
    database: Database, model_id: int
) -> None:
    asked = []
    while content := least_sure(database, model_id):
        asked.append(name(content))
        shown = labelled_with(database, model_id, content)
        assert shown
        say(database, [(shown, Word("skip") if len(asked) == 2 else right(shown))])
    assert asked == ["/p/castle.jpg", "/p/unsure cat.jpg", "/p/unsure dog.jpg", "/p/wolf.jpg", "/p/sure.jpg"]


def test_what_was_taken_back_is_asked_again(database: Database, model_id: int) -> None:
    castle = picture(database, model_id, "/p/castle.jpg")
    say(database, [(castle, right(castle))])
    assert name(least_sure(database, model_id)) == "/p/unsure cat.jpg"
    take_back(database, [castle])
    assert name(least_sure(database, model_id)) == "/p/castle.jpg"


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("cat", "/p/unsure cat.jpg"),
        ("animal", "/p/wolf.jpg"),  # by the kind's score: that of the cat is larger
        ("Hund", "/p/unsure dog.jpg"),
        ("pug", "/p/unsure dog.jpg"),
        ("tabby", "/p/unsure cat.jpg"),
        ("vehicle", None),
    ],
)
def test_of_a_thing_the_smallest_score_comes_first(
    database: Database, model_id: int, words: str, first: str | None
) -> None:
    assert name(least_sure_of(database, model_id, things_in(database, words))) == first


def test_two_models_that_disagree_are_asked_about_each_picture_once(database: Database, model_id: int) -> None:
    other = {
        "/p/sure.jpg": ("tabby", "cat"),
        "/p/unsure dog.jpg": ("Chihuahua", "dog"),
        "/p/unsure cat.jpg": ("lynx", "lynx"),
        "/p/castle.jpg": ("palace", "palace"),
    }
    other_id = label_as(database, other, OTHER_MODEL, contents={"/p/castle.jpg": content_of("changed")}).model_id
    found, after = [], ""
    while content := disagreed(database, (model_id, other_id), after=after):
        found.append(name(content))
        shown = labelled_with(database, model_id, content)
        assert shown
        say(database, [(shown, right(shown))])
        after = content
    assert sorted(map(str, found)) == ["/p/unsure cat.jpg", "/p/unsure dog.jpg"]
    assert found == sorted(found, key=lambda path: content_of(ascii(path)))
    take_back(database, [picture(database, model_id, path) for path in ("/p/unsure cat.jpg", "/p/unsure dog.jpg")])
    assert name(disagreed(database, (other_id, model_id), by_kind=True)) == "/p/unsure cat.jpg"
    assert disagreed(database, (other_id, model_id), after="f" * 32)  # begins from the start


def test_a_search_that_takes_too_long_says_so(database: Database, model_id: int) -> None:
    with pytest.raises(QueryTimeoutError):
        least_sure(database, model_id, time_limit_s=-1)
