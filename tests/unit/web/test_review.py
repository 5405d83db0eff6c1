"""Review on a page: each answer holds for the picture and label that were seen; a random sample alone is counted."""

from __future__ import annotations

import hashlib
import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from common.settings import load_settings
from storage.database import Database
from storage.schema_version import ensure_schema
from tests.unit.storage.nights import ask, change
from tests.unit.storage.pictures import OTHER_MODEL, RETRIEVER, TABBY, label_as

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx2

    from tests.unit.web.serving import Served

COUNT = 6


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six files; two models have labelled them, and do not agree on the last two."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(COUNT):
        (folder / f"{number}.jpg").write_bytes(b"%d" % number)
    return folder


@pytest.fixture
def database(root: Path) -> Database:
    database = Database(load_settings(database_url=f"sqlite:///{root.parent / 'night.db'}").database_url)
    ensure_schema(database)
    files = sorted(root.iterdir())
    contents = {str(file): hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest() for file in files}
    other = {str(file): TABBY if number < COUNT - 2 else RETRIEVER for number, file in enumerate(files)}
    label_as(database, other, OTHER_MODEL, contents=contents)
    label_as(database, dict.fromkeys(contents, TABBY), contents=contents)
    change(database, "update outcomes set score_1 = image_id / 10.0, kind_score = image_id / 10.0")
    database.close()
    return database


@pytest.fixture
def page(serve: Callable[..., Served], database: Database) -> Served:
    return serve(database_url=str(database.url.database))


def fields(text: str, form: str = "answer") -> dict[str, str]:
    """Return what a form of the page sends besides the button."""
    (inner,) = re.findall(rf'<form id="{form}".*?</form>', text, re.DOTALL)
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', inner)
    return {name: unescape(value) for name, value in found}


def shown(text: str) -> str:
    (name,) = re.findall(r'<a href="/images/(\d+)/">', text)[:1]
    return str(name)


def send(page: Served, text: str, answer: str, **more: str) -> httpx2.Response:
    return page.post("/review", data=fields(text) | {"answer": answer} | more)


def follow(page: Served, answer: httpx2.Response) -> str:
    assert answer.status_code == 303, answer.text
    return page.get(answer.headers["location"]).text


def start(page: Served, sample: int = 4) -> str:
    text = page.get("/review").text
    assert "Start" in text
    return follow(page, page.post("/review/sample", data={"mode": "sample", "sample": str(sample)}))


def test_a_sample_is_answered_one_by_one_and_the_accuracy_grows(page: Served, database: Database) -> None:
    text = start(page)
    assert "Picture 1 of 4" in text
    assert "Accuracy" not in text
    text = follow(page, send(page, text, "right"))
    assert "1 of 1 label right" in text
    text = follow(page, send(page, text, "wrong"))
    assert "1 of 2 labels right" in text
    text = follow(page, page.post("/review", data=fields(text, "naming") | {"answer": "label", "name": "Mops"}))
    text = follow(page, send(page, text, "skip"))
    assert "The sample is done" in text
    assert "1 of 3 labels right" in text
    said = ask(database, "select answer, label, review_id from corrections order by id")
    assert said == [("right", "tabby", 1), ("wrong", None, 1), ("label", "pug", 1), ("skip", None, 1)]


def test_back_leads_to_what_was_answered_and_the_new_answer_counts(page: Served) -> None:
    text = start(page, 2)
    first = shown(text)
    text = follow(page, send(page, text, "wrong"))
    (back,) = re.findall(r'id="back" href="([^"]+)"', text)
    text = page.get(unescape(back)).text
    assert shown(text) == first
    assert 'id="back"' not in text
    text = follow(page, send(page, text, "right"))
    assert "1 of 1 label right" in text
    text = follow(page, send(page, text, "right"))
    (back,) = re.findall(r'id="back" href="([^"]+)"', text)  # of a sample that is done
    assert shown(page.get(unescape(back)).text) != first


def test_an_old_page_is_told_so_and_nothing_is_stored(page: Served, database: Database, root: Path) -> None:
    text = start(page)
    path = ask(database, f"select path from images where id = {shown(text)}")[0][0]
    with open(path, "ab") as file:
        file.write(b"!")
    answer = send(page, text, "right")
    assert answer.status_code == 400
    assert "has changed since it was labelled" in answer.text
    assert 'value="right"' not in answer.text
    relabelled = send(page, answer.text, "right", label="pug")
    assert "labelled anew since it was shown" in relabelled.text
    assert send(page, text, "right", review="7").status_code == 400
    assert ask(database, "select * from corrections") == []
    assert "Picture 2 of 4" in follow(page, send(page, text, "skip"))


def test_a_name_that_nothing_has_is_told_beside_the_picture(page: Served) -> None:
    text = start(page)
    answer = page.post("/review", data=fields(text, "naming") | {"answer": "label", "name": "<b>tabbi"})
    assert answer.status_code == 400
    assert "&#39;&lt;b&gt;tabbi&#39;" in answer.text
    assert shown(answer.text) == shown(text)


def test_the_least_sure_comes_first_and_its_answers_are_corrections_alone(page: Served, database: Database) -> None:
    text = page.get("/review?mode=least-sure").text
    assert shown(text) == "1"
    assert "do not count for the accuracy" in text
    text = follow(page, send(page, text, "right"))
    assert shown(text) == "2"
    text = follow(page, send(page, text, "skip"))
    (back,) = re.findall(r'id="back" href="([^"]+)"', text)
    assert shown(page.get(unescape(back)).text) == "2"
    assert ask(database, "select answer, review_id from corrections") == [("right", None), ("skip", None)]
    assert "Accuracy" not in text


def test_one_kind_is_asked_for_by_any_name(page: Served) -> None:
    assert shown(page.get("/review?mode=thing&thing=Katze").text) == "1"
    assert "No picture is left" in page.get("/review?mode=thing&thing=vehicle").text
    answer = page.get("/review?mode=thing&thing=nosuchthing")
    assert (answer.status_code, "Nothing is called" in answer.text) == (400, True)
    assert 'role="alert"' not in page.get("/review?mode=thing").text


def test_where_two_models_disagree_both_are_shown_and_the_others_label_is_one_click(
    page: Served, database: Database
) -> None:
    text = page.get("/review?mode=disagree").text
    seen = {shown(text)}
    assert "golden retriever" in text.lower()
    answer = page.post("/review", data=fields(text) | {"answer": "label", "name": "golden retriever"})
    text = follow(page, answer)
    seen.add(shown(text))
    assert seen == {"5", "6"}
    text = follow(page, send(page, text, "right"))
    assert "No picture is left" in text
    assert ask(database, "select answer, label from corrections") == [("label", "golden retriever"), ("right", "tabby")]


@pytest.mark.parametrize(
    "query",
    [
        "mode=x",
        "model=99",
        "model=abc",
        "mode=disagree&model=2&other=2",
        "model=" + "9" * 30,
        "model=٣",
        "mode=sample&review=1&content=aa",
    ],
)
def test_an_address_that_makes_no_sense_is_refused(page: Served, query: str) -> None:
    assert page.get(f"/review?{query}").status_code == 400


@pytest.mark.parametrize("sample", ["0", "-1", "x", "100000", ""])
def test_a_sample_of_no_size_is_refused(page: Served, database: Database, sample: str) -> None:
    assert page.post("/review/sample", data={"sample": sample}).status_code == 400
    assert ask(database, "select * from reviews") == []


def test_a_page_that_is_only_looked_at_stores_nothing(page: Served, database: Database) -> None:
    for mode in ("sample", "least-sure", "thing", "disagree"):
        page.get(f"/review?mode={mode}")
    assert ask(database, "select (select count(*) from reviews), (select count(*) from corrections)") == [(0, 0)]
