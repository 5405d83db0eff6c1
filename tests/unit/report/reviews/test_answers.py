"""An answer holds for the picture and the label that the person saw: never for what took their place."""

from __future__ import annotations

import hashlib
from random import Random
from typing import TYPE_CHECKING

import pytest

from common.errors import UsageError
from report.reviews.answers import answer, asked_by
from report.reviews.questions import Question, open_places, question_about
from storage.corrections import standing
from storage.reviews import asked_before, open_review, review_answers, unfinished_review
from tests.unit.storage.nights import ask
from tests.unit.storage.pictures import OTHER_MODEL, RETRIEVER, TABBY, content_of, label_as

if TYPE_CHECKING:
    from pathlib import Path

    from storage.database import Database
    from storage.records import Run

COUNT = 4


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Files, of which each has its own bytes."""
    files = [tmp_path / f"{number}.jpg" for number in range(COUNT)]
    for file in files:
        file.write_bytes(file.name.encode())
    return [str(file) for file in files]


@pytest.fixture
def run(database: Database, paths: list[str]) -> Run:
    contents = {path: hashlib.blake2b(path.rpartition("/")[2].encode(), digest_size=16).hexdigest() for path in paths}
    return label_as(database, dict.fromkeys(paths, TABBY), contents=contents)


def question(database: Database, run: Run, review_id: int | None, content: str) -> Question:
    found = question_about(database, run.model_id, content, review_id)
    assert found
    return found


@pytest.fixture
def questions(database: Database, run: Run) -> list[Question]:
    """All that a review asks."""
    review = open_review(database, run.model_id, COUNT, Random(1))  # noqa: S311 - the same draw every time
    return [question(database, run, review.id, content) for content in review.contents]


def test_answers_are_stored_and_counted_and_places_close(
    database: Database, run: Run, questions: list[Question]
) -> None:
    for one, reply in zip(questions, ("y", "n", "= Mops", "s"), strict=True):
        answer(database, asked_by(one), reply)
    assert [(said.answer, said.label) for said in review_answers(database, run.model_id)] == [
        ("right", "tabby"),
        ("wrong", None),
        ("label", "pug"),
    ]
    assert unfinished_review(database, run.model_id) is None


def test_open_places_are_those_without_an_answer(database: Database, run: Run, questions: list[Question]) -> None:
    answer(database, asked_by(questions[1]), "y")
    review = unfinished_review(database, run.model_id)
    assert review
    assert open_places(review) == [0, 2, 3]


def test_an_answer_outside_of_a_sample_is_a_correction_and_does_not_count(
    database: Database, run: Run, questions: list[Question]
) -> None:
    chosen = question(database, run, None, questions[0].picture.content)
    answer(database, asked_by(chosen), "y")
    assert [word.answer for word in standing(database, chosen.picture.content)] == ["right"]
    assert review_answers(database, run.model_id) == []
    assert question(database, run, None, chosen.picture.content).said == "tabby"


def test_of_a_file_that_changed_nothing_is_said_but_it_may_be_skipped(
    database: Database, run: Run, questions: list[Question]
) -> None:
    with open(questions[0].picture.path, "ab") as file:
        file.write(b"!")
    assert question(database, run, None, questions[0].picture.content).file == "changed"
    for reply in ("y", "n", "tabby"):
        with pytest.raises(UsageError, match="has changed since it was labelled: it is another picture now"):
            answer(database, asked_by(questions[0]), reply)
    assert ask(database, "select * from corrections") == []
    answer(database, asked_by(questions[0]), "s")


def test_an_answer_to_a_label_that_is_another_one_now_is_not_stored(
    database: Database, run: Run, questions: list[Question]
) -> None:
    picture = questions[0].picture
    label_as(database, {picture.path: RETRIEVER}, contents={picture.path: picture.content})
    label_as(database, {questions[1].picture.path: TABBY}, contents={questions[1].picture.path: content_of("other")})
    for one in questions[:2]:
        with pytest.raises(UsageError, match="labelled anew since it was shown"):
            answer(database, asked_by(one), "y")
    assert ask(database, "select * from corrections") == []


def test_a_review_takes_no_answers_to_pictures_of_another_one_or_of_another_model(
    database: Database, run: Run, questions: list[Question]
) -> None:
    asked = asked_by(questions[0])
    other = label_as(database, {questions[0].picture.path: TABBY}, OTHER_MODEL, contents={
        questions[0].picture.path: questions[0].picture.content
    })  # fmt: skip
    for wrong in (asked._replace(review_id=99), asked._replace(model_id=other.model_id)):
        with pytest.raises(UsageError, match="does not ask about"):
            answer(database, wrong, "y")
    assert ask(database, "select * from corrections") == []


@pytest.mark.parametrize("reply", ["", "=", " = ", "no such thing", "Hund"])
def test_what_is_no_answer_is_told_and_not_stored(database: Database, questions: list[Question], reply: str) -> None:
    with pytest.raises(UsageError):
        answer(database, asked_by(questions[0]), reply)
    assert ask(database, "select * from corrections") == []


def test_going_back_leads_through_all_answers_once(database: Database, run: Run, questions: list[Question]) -> None:
    review_id = questions[0].review_id
    contents = [one.picture.content for one in questions]
    for place in (0, 1, 2, 1):  # the second one is answered again
        answer(database, asked_by(questions[place]), "y")
    here: str | None = contents[3]
    back = []
    while here := asked_before(database, run.model_id, review_id, here):
        back.append(contents.index(here))
    assert back == [1, 2, 0]
    assert asked_before(database, run.model_id, None, None) is None
