"""The box for queries: one that reads is answered as a table and as a file; of all else it is said why it is not."""

from __future__ import annotations

import csv
import io
import re
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from common.settings import load_settings
from storage.database import Database
from storage.documented_queries import DOCUMENTED_QUERIES
from storage.schema_version import ensure_schema
from tests.unit.storage.nights import ask
from tests.unit.storage.pictures import TABBY, label_as
from web import queries
from web.views.sql import PAGE_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from tests.unit.web.serving import Served

SCRIPT = "/photos/<script>alert(1)</script>.jpg"
FORMULA = '=HYPERLINK("http://evil.example")'
COUNTING = "with recursive n(i) as (select 1 union all select i + 1 from n where i < {}) select i from n"


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('sql') / 'night.db'}"
    with closing(Database(load_settings(database_url=url).database_url)) as database:
        ensure_schema(database)
        label_as(database, dict.fromkeys(["/photos/0.jpg", SCRIPT], TABBY))
    return url


@pytest.fixture(scope="module")
def page(serve: Callable[..., Served], database_url: str) -> Served:
    return serve(database_url=database_url)


def queried(page: Served, sql: str, status: int = 200) -> httpx2.Response:
    answer = page.get("/sql", params={"q": sql})
    assert answer.status_code == status, answer.text
    return answer


def test_a_query_is_answered_as_a_table_with_links_to_images(page: Served) -> None:
    text = queried(page, "select image_id, path, score_1, null, true and 1 from results order by path").text
    assert '<td class="number"><a href="/images/1/">1</a></td>' in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>alert" not in text
    assert '<td class="number">0.75</td><td class="soft">null</td>' in text
    assert re.search(r"<caption>2 rows, [\d.,]+\xa0ms</caption>", text)


def test_a_long_answer_is_cut_and_says_so_and_the_file_holds_more(page: Served) -> None:
    text = queried(page, COUNTING.format(PAGE_ROWS + 1)).text
    assert text.count('<td class="number">') == PAGE_ROWS
    assert "these are the first" in text
    file = page.get("/sql.csv", params={"q": COUNTING.format(PAGE_ROWS + 1)})
    assert file.text == "i\n" + "".join(f"{number}\n" for number in range(1, PAGE_ROWS + 2))
    assert file.headers["content-disposition"] == 'attachment; filename="nightlabel-query.csv"'
    assert file.headers["content-type"] == "text/csv; charset=utf-8"


def test_a_file_that_is_cut_says_so_in_its_name(page: Served) -> None:
    file = page.get("/sql.csv", params={"q": COUNTING.format(100_001)})
    assert "-first-100000-rows.csv" in file.headers["content-disposition"]


def test_values_are_in_the_file_and_none_is_a_formula(page: Served) -> None:
    sql = f"select '{FORMULA}' as a, 'x\r\n\"y\",z' as b, -1 as c, null as d"
    file = page.get("/sql.csv", params={"q": sql})
    assert list(csv.reader(io.StringIO(file.text, newline=""))) == [
        ["a", "b", "c", "d"],
        [f"'{FORMULA}", 'x\r\n"y",z', "-1", ""],
    ]


def test_the_form_leads_to_an_address_that_can_be_kept_or_answers_itself_where_it_is_long(page: Served) -> None:
    sql = "select 'é & = ?' as x\n-- a line"
    sent = page.post("/sql", data={"q": sql})
    assert sent.status_code == 303
    assert parse_qs(urlsplit(sent.headers["location"]).query)["q"] == [sql]
    long = f"select length('{'x' * 20_000}') as n"
    answer = page.post("/sql", data={"q": long})
    assert answer.status_code == 200
    assert '<td class="number">20000</td>' in answer.text
    assert '<form method="post" action="/sql.csv">' in answer.text
    assert page.post("/sql.csv", data={"q": long}).text == "n\n20000\n"


@pytest.mark.parametrize(
    "sql", ["delete from images", "select 1; select 2", "select nothing from nowhere", "attach 'x' as y", "select '\0'"]
)
def test_what_is_no_query_is_told_beside_the_box_and_changes_nothing(page: Served, database_url: str, sql: str) -> None:
    text = queried(page, sql, 400).text
    assert '<p id="problem" class="notice bad" role="alert">' in text
    assert page.get("/sql.csv", params={"q": sql}).status_code == 400
    with closing(Database(database_url)) as database:
        assert ask(database, "select count(*) from images") == [(2,)]


def test_a_query_without_an_end_is_stopped_and_the_page_answers_the_next_one(
    page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "TIME_LIMIT_S", 0.3)
    assert (
        "took longer than 0.3 s"
        in queried(page, COUNTING.format(10**12).replace("select i f", "select max(i) f"), 503).text
    )
    queried(page, "select 1")


def test_queries_wait_for_a_turn_and_are_sent_away_where_none_comes(
    page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_PATIENCE_S", 0.05)
    turns = page.state.queries._turns
    with turns, turns:
        assert "try again in a moment" in queried(page, "select 1", 503).text
    queried(page, "select 1")


def test_the_documented_queries_are_one_click_away(page: Served) -> None:
    text = page.get("/sql").text
    offered = [
        parse_qs(urlsplit(href.replace("&amp;", "&")).query)["q"][0]
        for href in re.findall(r'href="(/sql\?q=[^"]+)"', text)
    ]
    assert offered == [query.sql for topic in DOCUMENTED_QUERIES.values() for query in topic]
    assert 'aria-current="true"' in queried(page, offered[0]).text


def test_without_a_database_the_box_is_there_and_says_what_is_missing(served: Served) -> None:
    assert served.get("/sql").status_code == 200
    answer = served.get("/sql", params={"q": "select 1"})
    assert (answer.status_code, "There is no database" in answer.text) == (503, True)
