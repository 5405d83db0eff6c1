"""Night, as a person watches it: a run from its start to its report, and one that is stopped, and goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.web.site import Site
from tests.command import Nightlabel, paused_workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

    from common.settings import Settings

#: Enough for a run to be watched, and little enough for its end to be waited for.
PHOTOS = 400
#: Images that have their outcome.
DONE = "SELECT count(*) FROM outcomes"


@pytest.fixture(scope="module")
def night_site(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings, photos: Path, browser: Chrome
) -> Iterator[Site]:
    """A page over a database that is not there yet, and an archive of photos none of which is like another."""
    with Nightlabel(tmp_path_factory.mktemp("night"), settings) as command:
        command.environment["NIGHTLABEL_WORKERS"] = "1"
        archive = command.folder / "archive"
        archive.mkdir()
        sources = sorted(photos.glob("*.jpg"))
        for number in range(PHOTOS):
            data = sources[number % len(sources)].read_bytes()
            (archive / f"{number:04}.jpg").write_bytes(data + number.to_bytes(4))
        (archive / "broken.jpg").write_bytes(data[:2000])
        yield Site(command, browser)


def test_a_run_is_stopped_goes_on_and_is_watched_until_its_report(night_site: Site) -> None:
    site = night_site
    site.open("/night?lang=en")
    assert "There is no database" in site.one("#state").text
    run = site.command.start("run", "archive")
    site.command.wait_for(DONE, 1)
    with paused_workers(run):
        site.reads(".run h2", r"Run 1: (looking|labelling)")  # by itself, once there is one
        site.reads(".run .tiles", rf"[1-9]\d*\s+of {PHOTOS + 1}")

        site.one("a[href$='/stop']").click()
        assert "goes on with it later" in site.one("main").text
        assert run.poll() is None
    site.one("button.danger").click()
    site.reads("#state", "It is being stopped|nobody follows the run")
    output, _ = run.communicate(timeout=240)
    assert run.returncode == 130, output
    site.reads("#state", "nobody follows the run")

    before = site.command.sql(DONE)[0][0]
    run = site.command.start("run", "archive")
    site.command.wait_for(DONE, before + 1)
    with paused_workers(run):
        site.reads(".run .tiles", r"left")
    site.reads(".failures", "truncated")
    site.one(".speed svg")
    site.assert_accessible()
    site.one(".run a.first").click()  # the report, once the run is over
    site.reads("h1", "archive")
    assert run.wait(240) == 0
    assert site.script("document.querySelectorAll('.js-plotly-plot, .chart svg').length") > 0
    site.assert_well()


def test_a_run_that_nobody_follows_is_given_up_after_a_question(night_site: Site) -> None:
    site = night_site
    run = site.command.start("run", "archive", "--relabel")
    site.command.wait_for("SELECT count(*) FROM runs", 2)
    site.command.wait_for("SELECT count(*) FROM outcomes WHERE run_id = 2", 1)
    with paused_workers(run):
        site.open("/night?lang=en")
        site.reads(".run h2", r"Run 2: (looking|labelling)")
        site.open("/night/2/cancel")
        site.one("button.danger").click()
        site.reads(".run h2", "Run 2: cancelled")
    assert run.wait(240) == 9

    site.open("/night/2/stop")
    assert "cancelled already" in site.one("[role=alert]").text
    assert site.all("button.danger") == []
