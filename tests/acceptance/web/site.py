"""The page as people have it: `nightlabel web` over an archive that `nightlabel run` labelled."""

from __future__ import annotations

import base64
import os
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser import log, look, requested
from tests.command import wait_until
from tests.conftest import missing
from tests.made_pictures import draw_pictures

if TYPE_CHECKING:
    from collections.abc import Callable

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

    from tests.command import Nightlabel

#: Where Python finds what the page begins with here.
PLANTED = Path(__file__).with_name("planted")
#: Different pictures.
DRAWN = 52


class Site:
    """A page that is served, and a browser on it."""

    def __init__(self, command: Nightlabel, browser: Chrome, **environment: str) -> None:
        self.command = command
        self.browser = browser
        environment = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(PLANTED)} | environment
        self.server = command.start("web", "--port", "0", **environment)
        assert self.server.stdout
        self.address = self.server.stdout.readline().split()[-1].rstrip("/")
        assert self.address.startswith("http"), self.server.communicate()

    def open(self, path: str, *, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Open a view in a window of this size, as a reader who prefers this scheme."""
        look(self.browser, self.address + path, width=width, height=height, scheme=scheme)

    def all(self, selector: str) -> list[WebElement]:
        return list(self.browser.find_elements("css selector", selector))

    def one(self, selector: str, holds: Callable[[WebElement], bool] = lambda _: True) -> WebElement:
        """Return the element of this selector once it is there, shown, and as it should be."""
        from selenium.common.exceptions import StaleElementReferenceException, WebDriverException

        def found() -> WebElement | None:
            try:
                return next((one for one in self.all(selector) if one.is_displayed() and holds(one)), None)
            except StaleElementReferenceException:  # drawn anew meanwhile
                return None
            except WebDriverException as error:  # the same, as chromedriver says it when it happens amid its own look
                if "does not belong to the document" in f"{error}":
                    return None
                raise

        return wait_until(found)

    def reads(self, selector: str, pattern: str) -> str:
        """Return an element's text once it matches."""
        return self.one(selector, lambda one: re.search(pattern, one.text) is not None).text

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def script(self, source: str) -> Any:
        return self.browser.execute_script(f"return {source}")

    def assert_well(self) -> None:
        """Hold that nothing was logged as an error, nothing asked for elsewhere, and nothing sticks out sideways."""
        assert log(self.browser, "browser") == []
        elsewhere = {url for url in requested(self.browser) if not url.startswith((self.address, "data:", "blob:"))}
        assert elsewhere == set()
        assert self.script("document.documentElement.scrollWidth <= window.innerWidth")

    def assert_accessible(self) -> None:
        """Hold that axe finds nothing serious: what keeps people out who read by ear, by keyboard, or in other colours.

        Source: https://github.com/dequelabs/axe-core, API.
        """
        self.browser.execute_script(_axe())
        found = self.browser.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then("
            "  result => done(result.violations.map(one => [one.impact, one.id, one.nodes.map(node => node.html)])))"
        )
        assert [one for one in found if one[0] in ("serious", "critical")] == []

    def picture(self, path: Path) -> None:
        """Save what the window shows."""
        path.write_bytes(base64.b64decode(self.browser.get_screenshot_as_base64()))


def _axe() -> str:
    program = Path(sys.prefix) / "axe" / "node_modules" / "axe-core" / "axe.min.js"
    if not program.is_file():
        missing("no axe-core from npm: `make test` installs it")
    return program.read_text()


def make_archive(folder: Path) -> None:
    """Draw the pictures; one file more is no picture."""
    drawn = list(draw_pictures(folder / "2026", DRAWN))
    (folder / "2026" / "broken.jpg").write_bytes(drawn[0].read_bytes()[:3000])


def grow(command: Nightlabel, folder: Path, count: int) -> None:
    """Let an archive have many copies of its pictures, as if they had been labelled too: labelling takes its time."""
    with closing(sqlite3.connect(command.database)) as connection, connection:
        labelled = connection.execute(
            "SELECT image_id, path, size, mtime_ns FROM outcomes JOIN images USING (size, mtime_ns)"
            " WHERE images.id = image_id AND status = 'ok' ORDER BY image_id"
        ).fetchall()
        for number in range(count - len(labelled)):
            image_id, path, size, mtime_ns = labelled[number % len(labelled)]
            copy = folder / "2025" / f"{number // 100:03}" / f"{number:05}.jpg"
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, copy)
            new_id = connection.execute(
                "INSERT INTO images (path, path_hex, size, mtime_ns) VALUES (?, '', ?, ?)", (str(copy), size, mtime_ns)
            ).lastrowid
            for table in ("outcomes", "image_things", "manifest"):
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                values = ", ".join(f"{new_id}" if column == "image_id" else column for column in columns)
                connection.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE image_id = ?",
                    (image_id,),
                )
