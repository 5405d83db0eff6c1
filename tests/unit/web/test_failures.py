"""What failed is told with why and what to do, found again by kind, folder and run, and tried again when asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.command import wait_until
from tests.unit.storage.nights import number
from tests.unit.web.archives import image_ids, label_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from tests.unit.web.serving import Served

NAME = "<script>alert(1)</script>.jpg"
FOREIGN = "http://evil.example"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of which all but one fail, in two folders."""
    folder = tmp_path_factory.mktemp("archive")
    for name in ("sub/good.jpg", f"sub/{NAME}", *(f"{place:02}.jpg" for place in range(52))):
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode())
    return folder


@pytest.fixture(scope="module")
def page(serve: Callable[..., Served], archive: Path, settings: Settings) -> Served:
    """A page over that archive, labelled by a model that is not here."""
    page = serve(weights_dir=settings.weights_dir, cache_dir=settings.cache_dir)
    files = sorted(archive.rglob("*.jpg"))
    failing = [file for file in files if file.name != "good.jpg"]
    label_files(page.state.settings.database_url, archive, files, failing=failing)
    return page


def listed(html: str) -> list[int]:
    """Return the ids of the images in the list of files."""
    files = html.partition('<ol class="files">')[2].partition("</ol>")[0]
    return [int(found) for found in re.findall(r'href="/images/(\d+)/"', files)]


def test_a_kind_has_its_meaning_what_to_do_and_an_example(page: Served) -> None:
    html = page.get("/failures").text
    assert "53 failures" in html
    assert "or the file changed, four times in a row" in html
    assert "Fix it, then <code>nightlabel retry --kind unreadable</code>." in html
    assert "<q>it is unreadable</q>" in html
    assert 'href="/gallery?status=failed&amp;error=unreadable"' in html
    assert "<script>alert" not in page.get("/failures?folder=/nowhere/<script>alert(1)").text + html


def test_its_links_lead_to_the_same_images(page: Served, archive: Path) -> None:
    """In the gallery too: a folder that ends with a blank is named with its slash."""
    html = page.get(f"/failures?folder={archive}/sub/").text
    (gallery,) = set(re.findall(r'href="(/gallery\?[^"]*)">Show', html))
    found = page.get(gallery.replace("&amp;", "&")).text
    ids = image_ids(page.state.settings.database_url)
    assert listed(html) == [ids[str(archive / "sub" / NAME)]]
    assert re.findall(r'class="tile" href="/images/(\d+)/', found) == [str(listed(html)[0])]


def test_all_files_are_listed_page_by_page(page: Served, archive: Path) -> None:
    found, address = [], "/failures?kind=unreadable&run=1&model=resnet18"
    while address:
        html = page.get(address).text
        found += listed(html)
        more = re.search(r'<a id="more" rel="next" href="([^"#]*)', html)
        address = more[1].replace("&amp;", "&") if more else ""
    ids = image_ids(page.state.settings.database_url)
    assert found == sorted(set(ids.values()) - {ids[str(archive / "sub" / "good.jpg")]})


def test_where_nothing_failed_it_says_so(page: Served) -> None:
    assert "No such image failed." in page.get("/failures?kind=poison").text
    assert "there is nothing to try again" in page.get("/failures/retry?kind=poison").text


@pytest.mark.parametrize(
    "query", ["kind=broken", "run=x", "run=-1", "folder=photos", "after=1", "after=1-x", "after=9", "model=%00"]
)
def test_an_address_that_makes_no_sense_is_told(page: Served, query: str) -> None:
    answer = page.get(f"/failures?{query}")
    assert (answer.status_code, query.partition("=")[0] in answer.text) == (400, True)


def test_another_try_is_begun_by_nobody_elses_page_and_not_by_a_look_at_the_question(page: Served) -> None:
    assert "53 failures" in page.get("/failures/retry").text
    assert page.post("/failures/retry", headers={"Origin": FOREIGN}).status_code == 403
    assert page.post("/failures/retry", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert page.post("/failures/retry", data={"kind": "broken"}).status_code == 400
    assert (page.state.retry.is_running, page.state.retry.exit_status) == (False, None)


def test_a_try_that_cannot_begin_is_told_with_its_last_words(page: Served) -> None:
    """The weights that labelled the archive are others than those that are here."""
    assert page.post("/failures/retry").headers["location"] == "/night"
    assert wait_until(lambda: page.state.retry.exit_status) == 3
    html = page.get("/failures").text
    assert "ended with status 3" in html
    assert "aa1dea68" in html


def test_a_file_that_was_repaired_is_labelled_by_another_try(
    serve: Callable[..., Served], settings: Settings, resnet18: ReadyModel, goldfinch: bytes, tmp_path: Path
) -> None:
    model = {"weights_dir": settings.weights_dir, "cache_dir": settings.cache_dir, "precision": "fp32", "workers": 1}
    page = serve(**model, web_token=None)
    url, file = page.state.settings.database_url, tmp_path / "bird.jpg"
    file.write_bytes(goldfinch)
    label_files(url, tmp_path, [file], failing=[file], model=resnet18.model)

    begun = page.post("/failures/retry", data={"kind": "unreadable"}, headers={"Origin": page.url})
    assert (begun.status_code, begun.headers["location"]) == (303, "/night")
    again = page.post("/failures/retry")
    assert (again.status_code, "running already" in again.text) == (409, True)
    assert "<button" not in page.get("/failures/retry").text.partition("<main")[2]
    assert "What failed is being tried again." in page.get("/failures").text

    wait_until(lambda: page.state.retry.exit_status is not None or None)
    assert page.state.retry.exit_status == 0, page.state.retry.last_words()
    with page.state.database() as database:
        assert number(database, "select count(*) from outcomes where label_1 = 'goldfinch' and run_id = 2") == 1
    assert "No image failed." in page.get("/failures").text
