"""The HTML reports in a real browser: drawn, light and dark, without an error, and without a word to the network."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from report.comparison.page import comparison_page
from report.page import write_page
from runner.compare import compare
from runner.truth_file import Truth
from storage.database import Database
from storage.schema_version import ensure_schema
from tests.browser import log, look, prefer, requested
from tests.command import Nightlabel
from tests.unit.report.long_night import Faults, plant_long
from worker.measure import Assignment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

    from common.settings import Settings

#: Drawn marks of a chart: lines, points, bars.
MARKS = ".scatterlayer .js-line[d], .scatterlayer .point, .barlayer .point path[d]"
ROOT = "/night/<b>&\"'</script>"


def assert_well(browser: Chrome, charts: int, width: int) -> None:
    """Hold that nothing was logged, nothing fetched, every chart has marks, and nothing sticks out sideways."""
    assert log(browser, "browser") == []
    assert "file" in (schemes := {address.split(":", 1)[0] for address in requested(browser)})
    assert schemes <= {"file", "data"}
    drawn = browser.execute_script(
        f"return [...document.querySelectorAll('.chart')].map(c => c.querySelectorAll('{MARKS}').length)"
    )
    assert len(drawn) == charts
    assert all(drawn)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Iterator[Nightlabel]:
    """The command, in a folder whose database holds two nights; in the first, some things went wrong."""
    with Nightlabel(tmp_path_factory.mktemp("home"), settings) as command:
        database = Database(f"sqlite:///{command.database}")
        ensure_schema(database)
        plant_long(database, faults=Faults(failing_folder=True, leak_mb_an_hour=40, copies=5), root=ROOT)
        plant_long(database, hours=0.1, root="/other")
        database.close()
        yield command


@pytest.fixture(scope="module")
def page(command: Nightlabel) -> Path:
    """The report on the first night."""
    done = command("report", "--run", "1", "--html", "night.html")
    assert done.returncode == 0, done.stderr
    return command.folder / "night.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_report_is_drawn_and_fetches_nothing(browser: Chrome, page: Path, scheme: str, width: int) -> None:
    look(browser, page.as_uri(), scheme=scheme, width=width)

    assert_well(browser, charts=11, width=width)


def colours(browser: Chrome) -> list[str]:
    """Return the page's colour, and that of its charts' text."""
    found: list[str] = browser.execute_script(
        "return [getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('.chart text')).fill]"
    )
    return found


def test_its_colours_follow_the_readers_choice_and_paper(browser: Chrome, page: Path) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    def are_others_than(before: list[str]) -> bool:
        """Wait until the charts, which a script draws anew, are in other colours too."""
        return bool(WebDriverWait(browser, 10).until(lambda _: not set(colours(browser)) & set(before)))

    look(browser, page.as_uri(), scheme="light")
    light = colours(browser)
    prefer(browser, "dark")
    assert are_others_than(light)
    dark = colours(browser)
    prefer(browser, "dark", media="print")
    assert are_others_than(dark)
    assert colours(browser)[0] in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")


def test_it_can_be_printed(browser: Chrome, page: Path) -> None:
    look(browser, page.as_uri())

    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"])

    assert printed.startswith(b"%PDF")
    assert 2 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type/Page/") <= 8


def test_it_says_what_to_look_at(browser: Chrome, page: Path) -> None:
    look(browser, page.as_uri())

    told = browser.execute_script("return [...document.querySelectorAll('.findings li')].map(li => li.textContent)")
    assert [one for one in told if "1,430 of 1,430 images failed" in one]
    assert [one for one in told if "The memory of host-7/2 grew" in one]


def test_where_all_went_well_there_is_nothing_to_look_at(command: Nightlabel) -> None:
    assert command("report", "--run", "2", "--html", "well.html").returncode == 0
    assert "What to look at" not in (command.folder / "well.html").read_text()
    assert command("report", "--run", "1", "--html", "not-well.html").returncode == 0
    assert "What to look at" in (command.folder / "not-well.html").read_text()


def test_names_that_look_like_html_are_shown_as_they_are(browser: Chrome, page: Path) -> None:
    look(browser, page.as_uri())

    assert browser.execute_script("return document.querySelector('h1').textContent") == ROOT
    assert browser.execute_script("return document.querySelectorAll('h1 b').length") == 0


def test_it_shows_what_the_model_saw(
    browser: Chrome, nightlabel: Nightlabel, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    assert nightlabel("run", archive(30)).returncode == 0
    assert nightlabel("report", "--html", tmp_path / "night.html").returncode == 0

    look(browser, (tmp_path / "night.html").as_uri())

    sizes = browser.execute_script("return [...document.images].map(i => [i.naturalWidth, i.naturalHeight])")
    assert sizes == [[160, 160]] * 24
    assert log(browser, "browser") == []


def test_runs_are_compared_on_a_page_too(browser: Chrome, command: Nightlabel) -> None:
    assert command("report", "--run", "1", "--run", "2", "--html", "runs.html").returncode == 0
    look(browser, (command.folder / "runs.html").as_uri(), width=400)
    assert_well(browser, charts=2, width=400)


def test_models_are_compared_on_a_page_too(browser: Chrome, settings: Settings, photos: Path, tmp_path: Path) -> None:
    """As `nightlabel compare --html` does it, but measured for a moment instead of half a minute."""
    truth, moment = Truth(photos / "truth.csv"), Assignment(latency_requests=1, throughput_s=0.1)
    compared = compare(settings, [str(photos)], ["resnet18"], print, truth=truth, assignment=moment)
    write_page(comparison_page(compared), tmp_path / "models.html")
    look(browser, (tmp_path / "models.html").as_uri(), width=400)
    assert_well(browser, charts=4, width=400)


def test_a_report_that_cannot_be_written_says_so(command: Nightlabel) -> None:
    done = command("report", "--html", "/missing/night.html")
    assert done.returncode == 2
    assert "/missing/night.html cannot be written: No such file or directory." in done.stderr
