"""One archive of drawn pictures, labelled once, and a page over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.web.site import Site, grow, make_archive
from tests.browser import chromium
from tests.command import Nightlabel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome

    from common.settings import Settings

#: Enough to scroll through.
PICTURES = 2_100


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Iterator[Nightlabel]:
    """The command, in a folder with an archive and the database that has its labels."""
    with Nightlabel(tmp_path_factory.mktemp("home"), settings) as command:
        make_archive(command.folder / "archive")
        done = command("run", "archive")
        assert done.returncode == 0, done.stderr
        grow(command, command.folder / "archive", PICTURES)
        yield command


@pytest.fixture(scope="session")
def site(labelled: Nightlabel, browser: Chrome) -> Site:
    """The page over that database."""
    return Site(labelled, browser)


@pytest.fixture(scope="session")
def plain_site(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same page in a browser that runs no scripts."""
    with chromium(tmp_path_factory.mktemp("plain"), scripts=False) as browser:
        yield Site(site.command, browser)
