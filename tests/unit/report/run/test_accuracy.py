"""How right a model is: counted from a review's answers, and told in a terminal, on a page and as JSON."""

from __future__ import annotations

import json
from importlib import resources
from random import Random
from typing import TYPE_CHECKING

import jsonschema
import pytest

from common.settings import load_settings
from report.run.accuracy import accuracy, in_words
from report.run.figures import run_figures
from report.run.json_report import as_json
from report.run.page import run_page
from report.wilson import wilson_interval
from storage.corrections import is_label, labelled_with, right, say, wrong
from storage.reviews import ReviewAnswer, open_review
from tests.unit.report.run.test_terminal import printed, widest
from tests.unit.storage.pictures import RETRIEVER, TABBY, label_as

if TYPE_CHECKING:
    from report.run.figures import RunFigures
    from storage.database import Database

RIGHT = ReviewAnswer("golden retriever", "dog", "right", "golden retriever")
OTHER_DOG = ReviewAnswer("golden retriever", "dog", "label", "kuvasz")
NO_DOG = ReviewAnswer("golden retriever", "dog", "label", "tabby")
UNNAMED = ReviewAnswer("golden retriever", "dog", "wrong", None)
RIGHT_CAT = ReviewAnswer("tabby", "cat", "right", "tabby")


def test_without_answers_there_is_no_accuracy() -> None:
    assert accuracy([]) is None


def test_labels_are_counted_and_kinds_beside_them() -> None:
    found = accuracy([RIGHT] * 6 + [OTHER_DOG] * 3 + [NO_DOG])
    assert found
    assert found.kind
    assert (found.label.right, found.label.answers, found.label.share) == (6, 10, 0.6)
    assert (found.label.low, found.label.high) == wilson_interval(6, 10)
    assert (found.kind.right, found.kind.unknown, found.kind.answers) == (9, 0, 10)
    assert in_words(found) == [
        "6 of 10 sampled labels right: 60 % (95 %: 31 to 83 %)",
        "9 of 10 kinds right: 90 % (95 %: 60 to 98 %)",
        "dog: 6 of 10 labels right: 60 % (95 %: 31 to 83 %)",
    ]


def test_of_a_label_that_is_wrong_and_not_named_the_kind_may_be_either() -> None:
    found = accuracy([RIGHT] * 5 + [UNNAMED] * 2)
    assert found
    assert found.kind
    assert (found.kind.right, found.kind.unknown) == (5, 2)
    assert (found.kind.low, found.kind.high) == (wilson_interval(5, 7)[0], 1.0)
    assert in_words(found)[1] == "5 to 7 of 7 kinds right (2 wrong and not named): 71 to 100 % (95 %: 36 to 100 %)"


def test_a_right_label_under_another_kind_is_a_wrong_kind() -> None:
    """The kind with the largest sum need not be the best label's."""
    found = accuracy([ReviewAnswer("golden retriever", "cat", "right", "golden retriever")])
    assert found
    assert found.kind
    assert (found.label.right, found.kind.right) == (1, 0)


def test_kinds_with_ten_answers_are_told_the_largest_first() -> None:
    found = accuracy([RIGHT] * 10 + [RIGHT_CAT] * 11 + [ReviewAnswer("ant", "insect", "wrong", None)] * 9)
    assert found
    assert [kind for kind, _ in found.by_kind] == ["cat", "dog"]


def test_a_model_whose_labels_have_no_kinds_has_none() -> None:
    found = accuracy([ReviewAnswer("blurred", None, "right", "blurred")])
    assert found
    assert (found.kind, found.by_kind) == (None, ())
    assert in_words(found) == ["1 of 1 sampled labels right: 100 % (95 %: 21 to 100 %)"]


@pytest.fixture
def reviewed(file: Database) -> RunFigures:
    """A run of 30 pictures of which 25 were reviewed: 20 right, 3 named, 2 wrong; and one was corrected besides."""
    said = {f"/photos/{number}.jpg": TABBY if number % 2 else RETRIEVER for number in range(30)}
    run = label_as(file, said)
    opened = open_review(file, run.model_id, 25, Random(1))  # noqa: S311 - the same sample every time
    for place, content in enumerate(opened.contents):
        picture = labelled_with(file, run.model_id, content)
        assert picture
        word = right(picture) if place < 20 else is_label(picture, "pug") if place < 23 else wrong(picture)
        say(file, [(picture, word)], opened.id)
    return run_figures(file, run)


def test_the_terminal_tells_it_within_80_columns(reviewed: RunFigures) -> None:
    text = printed(reviewed)
    assert "Accuracy   20 of 25 sampled labels right: 80 % (95 %: 61 to 91 %)" in text
    assert widest(text) <= 80


def test_the_page_tells_the_same(file: Database, reviewed: RunFigures) -> None:
    page = run_page(reviewed, file, load_settings())
    assert "<h2>Accuracy</h2>" in page
    assert "<li>20 of 25 sampled labels right: 80 % (95 %: 61 to 91 %)</li>" in page


def test_other_programs_get_the_figures_by_the_schema(reviewed: RunFigures) -> None:
    document = json.loads(json.dumps(as_json(reviewed)))
    schema = json.loads(resources.files("report.run").joinpath("report.schema.json").read_text())
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(document)) == []
    label = document["accuracy"]["label"]
    assert (label["right"], label["answers"], label["share"], label["unknown"]) == (20, 25, 0.8, 0)
    assert (label["low"], label["high"]) == pytest.approx((0.6087, 0.9114), abs=1e-4)
    assert {one["kind"] for one in document["accuracy"]["by_kind"]} == {"cat", "dog"}


def test_a_run_whose_model_nobody_reviewed_says_nothing(file: Database) -> None:
    figures = run_figures(file, label_as(file, {"/photos/1.jpg": TABBY}))
    assert as_json(figures)["accuracy"] is None
    assert "Accuracy" not in printed(figures)
    assert "<h2>Accuracy</h2>" not in run_page(figures, file, load_settings())
