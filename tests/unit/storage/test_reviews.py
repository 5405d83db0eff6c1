"""A review's sample is random, without repeats, fixed, and goes on; only its answers count."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from common.errors import DatabaseError
from storage import reviews
from storage.corrections import Word, is_label, labelled_with, right, say, take_back, wrong
from storage.reviews import ReviewAnswer, open_review, review_answers, reviewed_run
from tests.unit.storage.nights import ask
from tests.unit.storage.pictures import OTHER_MODEL, RETRIEVER, TABBY, content_of, label_as

if TYPE_CHECKING:
    from storage.corrections import Picture
    from storage.database import Database
    from storage.records import Run

PATHS = [f"/photos/{number:02}.jpg" for number in range(20)]


@pytest.fixture
def run(database: Database) -> Run:
    """Twenty pictures that are labelled, a copy of one of them, one that failed, and one without a content."""
    said = dict.fromkeys([*PATHS, "/photos/copy.jpg", "/photos/old.jpg"], TABBY)
    contents = {"/photos/copy.jpg": content_of(ascii(PATHS[0])), "/photos/old.jpg": None}
    return label_as(database, {**said, "/photos/broken.jpg": None}, contents=contents)


def dice(seed: int = 1) -> Random:
    return Random(seed)  # noqa: S311 - the same draw every time


def picture(database: Database, run: Run, content: str) -> Picture:
    found = labelled_with(database, run.model_id, content)
    assert found
    return found


def answer_all(database: Database, run: Run, sample: int = 5) -> list[Picture]:
    opened = open_review(database, run.model_id, sample, dice())
    pictures = [picture(database, run, content) for content in opened.contents]
    say(database, [(one, right(one)) for one in pictures], opened.id)
    return pictures


def test_every_labelled_picture_is_drawn_once_and_copies_are_one(database: Database, run: Run) -> None:
    drawn = open_review(database, run.model_id, 100, dice()).contents
    assert sorted(drawn) == sorted(content_of(ascii(path)) for path in PATHS)


def test_a_seed_draws_the_same_on_every_database_and_page_size(
    database: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews, "_PAGE_ROWS", 3)
    drawn = open_review(database, run.model_id, 5, dice(7)).contents
    in_order = sorted(content_of(ascii(path)) for path in PATHS)
    assert list(drawn) == [in_order[place] for place in dice(7).sample(range(20), 5)]


def test_each_picture_is_as_likely_as_another(database: Database, run: Run) -> None:
    """Of 20, 5 are drawn 400 times: each is there 100 times, give or take 4.5 deviations of 8.7."""
    drawn = Counter(content for seed in range(400) for content in reviews._draw(database, run.model_id, 5, dice(seed)))
    assert len(drawn) == 20
    assert min(drawn.values()) > 60
    assert max(drawn.values()) < 140


def test_a_review_goes_on_with_what_it_has_not_asked_whatever_is_drawn_next(database: Database, run: Run) -> None:
    first = open_review(database, run.model_id, 5, dice())
    say(database, [(one := picture(database, run, first.contents[0]), right(one))], first.id)
    say(database, [(picture(database, run, first.contents[3]), Word("skip"))], first.id)

    again = open_review(database, run.model_id, 9, dice(2))

    assert (first.is_new, again.is_new, again.id, again.contents) == (True, False, first.id, first.contents)
    assert again.settled == {first.contents[0], first.contents[3]}


def test_a_finished_review_is_followed_by_one_of_other_pictures_until_none_are_left(
    database: Database, run: Run
) -> None:
    seen = {one.content for one in answer_all(database, run, 12)}
    seen |= {one.content for one in answer_all(database, run, 12)}
    assert len(seen) == 20
    with pytest.raises(DatabaseError, match="nothing to review"):
        open_review(database, run.model_id, 1, dice())
    assert ask(database, "select count(*) from reviews") == [(2,)]


def test_another_model_has_reviews_of_its_own(database: Database, run: Run) -> None:
    answer_all(database, run, 20)
    other = label_as(database, dict.fromkeys(PATHS, RETRIEVER), OTHER_MODEL)
    assert len(open_review(database, other.model_id, 50, dice()).contents) == 20
    assert review_answers(database, other.model_id) == []


def test_a_picture_that_was_relabelled_as_another_one_is_not_waited_for(database: Database, run: Run) -> None:
    opened = open_review(database, run.model_id, 20, dice())
    label_as(database, {PATHS[5]: TABBY}, contents={PATHS[5]: content_of("other bytes")})
    assert open_review(database, run.model_id, 1, dice()).settled == {content_of(ascii(PATHS[5]))}
    assert labelled_with(database, run.model_id, content_of(ascii(PATHS[5]))) is None
    assert len(opened.contents) == 20


def test_the_newest_run_is_reviewed_or_the_newest_one_of_a_model(database: Database, run: Run) -> None:
    other = label_as(database, {PATHS[0]: TABBY}, OTHER_MODEL)
    assert reviewed_run(database).id == other.id
    assert reviewed_run(database, "resnet18").id == run.id
    with pytest.raises(DatabaseError, match=r"^There is no run of vgg16 in "):
        reviewed_run(database, "vgg16")


def test_answers_of_reviews_count_and_single_corrections_do_not(database: Database, run: Run) -> None:
    opened = open_review(database, run.model_id, 4, dice())
    first, second, third, fourth = (picture(database, run, content) for content in opened.contents)
    words = [(first, right(first)), (second, wrong(second)), (third, is_label(third, "pug")), (fourth, Word("skip"))]
    say(database, words, opened.id)
    others = set(PATHS) - {one.path for one in (first, second, third, fourth)}
    say(database, [(one := picture(database, run, content_of(ascii(max(others)))), right(one))])

    assert review_answers(database, run.model_id) == [
        ReviewAnswer("tabby", "cat", "right", "tabby"),
        ReviewAnswer("tabby", "cat", "wrong", None),
        ReviewAnswer("tabby", "cat", "label", "pug"),
    ]


def test_an_answer_counts_for_the_label_that_the_model_had_then(database: Database, run: Run) -> None:
    answer_all(database, run, 3)
    label_as(database, dict.fromkeys(PATHS, RETRIEVER))
    assert review_answers(database, run.model_id) == [ReviewAnswer("tabby", "cat", "right", "tabby")] * 3


def test_the_newest_answer_to_a_question_counts_and_what_was_taken_back_does_not(database: Database, run: Run) -> None:
    first, second = answer_all(database, run, 2)
    say(database, [(first, wrong(first))], 1)
    assert [one.answer for one in review_answers(database, run.model_id)] == ["right", "wrong"]
    take_back(database, [first])
    assert [one.answer for one in review_answers(database, run.model_id)] == ["right"]
    say(database, [(second, Word("skip"))], 1)
    assert review_answers(database, run.model_id) == []


def test_a_later_word_from_elsewhere_leaves_the_reviews_answer_as_it_was(database: Database, run: Run) -> None:
    (first,) = answer_all(database, run, 1)
    say(database, [(first, is_label(first, "pug"))])
    assert [one.answer for one in review_answers(database, run.model_id)] == ["right"]
