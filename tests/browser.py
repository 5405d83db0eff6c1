"""A real browser: what it shows, what it says on its console, and what it asks for."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.conftest import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome


@contextmanager
def chromium(profile: Path, *, scripts: bool = True) -> Iterator[Chrome]:
    """Open a headless Chromium that keeps a log of its console and of its network.

    Args:
        profile: a folder of its own.
        scripts: whether pages may run any.

    """
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        missing("no chromium and chromedriver on PATH (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(program)
    for argument in (
        *("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run", "disable-sync"),
        *("disable-background-networking", "disable-component-update", "hide-scrollbars"),
        f"user-data-dir={profile}",
    ):
        options.add_argument(f"--{argument}")
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield opened
    opened.quit()


def log(browser: Chrome, kind: str) -> list[Any]:
    """Return what a log got since it was last read: `browser`, its console, or `performance`, with its network."""
    return list(browser.get_log(kind))  # type: ignore[no-untyped-call]  # selenium's own


def look(browser: Chrome, url: str, *, scheme: str = "light", width: int = 1280, height: int = 2400) -> None:
    """Open a page in a window of this width, as a reader who prefers this scheme."""
    prefer(browser, scheme)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    log(browser, "browser")
    log(browser, "performance")
    browser.get(url)


def prefer(browser: Chrome, scheme: str, media: str = "screen") -> None:
    """Have the reader prefer a scheme, light or dark, from here on."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def requested(browser: Chrome) -> set[str]:
    """Return the address of everything that was asked for since the last look."""
    events = [json.loads(entry["message"])["message"] for entry in log(browser, "performance")]
    return {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
