"""A broken file is found in Failures, repaired, and labelled by another try."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.web.site import Site
from tests.command import Nightlabel
from tests.made_pictures import draw_pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

    from common.settings import Settings


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Iterator[Nightlabel]:
    """The command, in a folder with an archive whose only broken file it could not label."""
    with Nightlabel(tmp_path_factory.mktemp("home"), settings) as command:
        drawn = list(draw_pictures(command.folder / "archive", 3))
        broken_file(command).write_bytes(drawn[0].read_bytes()[:3000])
        done = command("run", "archive")
        assert done.returncode == 0, done.stderr
        yield command


def broken_file(command: Nightlabel) -> Path:
    return command.folder / "archive" / "broken.jpg"


def test_a_broken_file_is_repaired_and_labelled_by_another_try(command: Nightlabel, browser: Chrome) -> None:
    site = Site(command, browser)
    site.open("/failures")
    assert site.one(".lead p").text == "1 failure"
    assert "Restore it from a backup" in site.one(".kinds").text
    assert "broken.jpg" in site.one(".files a").text
    site.assert_well()
    site.assert_accessible()

    whole = next((command.folder / "archive").glob("*/*.jpg"))
    broken_file(command).write_bytes(whole.read_bytes())
    site.one(".actions a[href^='/failures/retry']").click()
    assert "nightlabel retry --kind truncated" in site.one("main").text
    site.assert_accessible()
    site.one("main form button").click()

    query = "select count(*) from results where path like '%broken.jpg' and label is not null"
    assert command.wait_for(query, 1) == 1
    site.open("/failures")
    site.reads(".notice.good", "No image failed")
    site.assert_well()


def test_the_files_of_a_kind_lead_to_their_pictures_and_to_the_gallery(site: Site) -> None:
    site.open("/failures?kind=truncated", width=400, scheme="dark")
    site.assert_well()
    site.assert_accessible()
    site.one(".kinds .actions a[href^='/gallery']").click()
    site.one(".tile")
    site.browser.back()
    site.one(".files a").click()
    assert "broken.jpg" in site.one("figcaption").text
