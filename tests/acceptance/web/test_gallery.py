"""The gallery in a browser: search as one types, counts, scrolling, the keyboard, an image's page, and downloads."""

from __future__ import annotations

import csv
import io
import re
import stat
import urllib.error
import urllib.request
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.web.conftest import PICTURES
from tests.command import wait_until

if TYPE_CHECKING:
    from selenium.webdriver.remote.webelement import WebElement

    from tests.acceptance.web.site import Site

KEYS = {"left": "\ue012", "right": "\ue014", "down": "\ue015", "enter": "\ue007", "escape": "\ue00c"}


def tiles(site: Site) -> list[WebElement]:
    return site.all(".tile")


def get(site: Site, path: str) -> bytes:
    with urllib.request.urlopen(site.address + path) as answer:  # noqa: S310 - our own
        return bytes(answer.read())


def a_label(site: Site) -> str:
    ((label,),) = site.command.sql(
        "select label from results where label is not null group by 1 order by count(*) desc limit 1"
    )
    return str(label)


def test_search_as_one_types_shows_what_there_is_and_keeps_it_in_the_address(site: Site) -> None:
    label = a_label(site)
    site.open("/gallery")
    site.reads(".total", r"2,1\d\d pictures")
    site.press("/")
    site.press(label)

    wait_until(lambda: f"q={label.replace(' ', '+')}" in site.browser.current_url, 30)
    ((count,),) = site.command.sql(f"select count(*) from results where '{label}' in (label_1, label_2, label_3)")
    site.reads(".total", f"^{count:,} picture")
    assert {one.text for one in site.all(".caption b")}
    site.assert_well()
    site.assert_accessible()


def test_half_a_word_says_what_may_be_meant(site: Site) -> None:
    site.open("/gallery?q=zzebra")
    assert "Did you mean: zebra" in site.one("#found .notice").text
    site.assert_well()


def test_a_count_beside_a_filter_is_what_choosing_it_shows(site: Site) -> None:
    site.open("/gallery")
    kind = site.one("#counts details:first-of-type li a")
    name, count = kind.text.split("\n")
    kind.click()
    site.reads(".total", f"^{count} picture")
    assert name in site.one(".chosen").text
    site.one(".chosen a").click()
    site.reads(".total", r"2,1\d\d pictures")


def test_one_scrolls_to_the_2000th_picture(site: Site) -> None:
    site.open("/gallery?sort=path")

    def scrolled() -> bool:
        site.browser.execute_script("window.scrollTo(0, document.body.scrollHeight)")
        return len(tiles(site)) >= 2000

    wait_until(scrolled, 120)
    addresses = [one.get_attribute("href") for one in tiles(site)]
    assert len(set(addresses)) == len(addresses)
    site.assert_well()


def test_all_of_it_goes_by_keyboard(site: Site) -> None:
    site.open("/gallery?sort=path")
    site.one(".tile")
    site.press(KEYS["right"], KEYS["right"], KEYS["down"])
    first = site.script("document.activeElement.getAttribute('href')")
    assert re.match(r"/images/\d+/\?sort=path", first)
    site.press(KEYS["enter"])
    site.one("figure img")
    here = site.browser.current_url
    site.press(KEYS["right"])
    wait_until(lambda: site.browser.current_url != here and site.all("figure img"), 30)
    site.press(KEYS["left"])
    wait_until(lambda: site.browser.current_url == here, 30)
    site.press(KEYS["escape"])
    wait_until(lambda: site.browser.current_url.endswith("/gallery?sort=path"), 30)


def test_an_image_is_corrected_on_its_page_and_it_is_taken_back(site: Site) -> None:
    ((image_id,),) = site.command.sql("select min(image_id) from results where status = 'ok'")
    site.open(f"/images/{image_id}/")
    site.one("input[name=name]").send_keys("teapot")
    site.one("button[value=label]").click()
    site.reads("h1", "^teapot$")
    site.assert_well()
    assert site.command.sql(f"select label, label_source from results where image_id = {image_id}") == [
        ("teapot", "person")
    ]

    site.one("button[value=undo]").click()
    wait_until(lambda: not site.all("button[value=undo]"), 30)
    assert site.command.sql(f"select label_source from results where image_id = {image_id}") == [("model",)]


def test_what_is_called_nothing_is_said_on_the_page(site: Site) -> None:
    ((image_id,),) = site.command.sql("select min(image_id) from results where status = 'ok'")
    site.open(f"/images/{image_id}/")
    site.one("input[name=name]").send_keys("qqqqq")
    site.one("button[value=label]").click()
    assert "no class that is called 'qqqqq'" in site.reads(".notice.bad", "qqqqq")


def test_without_scripts_one_searches_and_turns_pages(plain_site: Site) -> None:
    plain_site.open("/gallery")
    first = [one.get_attribute("href") for one in tiles(plain_site)]
    plain_site.one("#more").click()
    second = [one.get_attribute("href") for one in tiles(plain_site)]
    assert set(first).isdisjoint(second)
    label = a_label(plain_site)
    field = plain_site.one("#words")
    field.send_keys(label)
    field.submit()
    assert plain_site.one(".tile")
    plain_site.open("/gallery?counts=yes")
    plain_site.reads(".total", r"2,1\d\d pictures")


def test_a_selection_is_downloaded_as_paths_a_table_and_links(site: Site) -> None:
    wanted = [path for (path,) in site.command.sql("select path from images order by path")]
    assert get(site, "/gallery/selection.txt?sort=path").decode().splitlines() == wanted
    rows = list(csv.DictReader(io.StringIO(get(site, "/gallery/selection.csv?sort=path").decode("utf-8-sig"))))
    assert [row["path"] for row in rows] == wanted
    assert len(rows) >= PICTURES
    with zipfile.ZipFile(io.BytesIO(get(site, "/gallery/selection.zip?sort=path"))) as archive:
        links = archive.infolist()
        assert [archive.read(one).decode() for one in links] == wanted
        assert all(stat.S_ISLNK(one.external_attr >> 16) for one in links)
        assert not any("/" in one.filename or one.filename.startswith(".") for one in links)


SENSELESS = (
    *("min=2", "min=x", "folder=photos", "day=yesterday", "from=2026-13-01", "run=-1", "run=99999999999999999999"),
    *("warning=perhaps", "orientation=round", "status=good", "sort=size", "after=abc", "q=%00"),
)


@pytest.mark.parametrize("query", SENSELESS)
def test_a_value_that_makes_no_sense_is_said(site: Site, query: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(site, f"/gallery?{query}")
    with refused.value as answer:
        assert answer.code == 400
