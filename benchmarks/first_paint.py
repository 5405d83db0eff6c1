"""The gallery in a browser: when something is seen, and how many bytes it took."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.page import Section
from common.settings import load_settings
from tests.acceptance.web.site import Site, grow, make_archive
from tests.browser import chromium
from tests.command import Nightlabel

ROUNDS = 7
#: Of the page itself, and of all that it asks for. Sources: Paint Timing, Resource Timing
_MEASURED = """(() => {
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const sum = (chosen) => all.filter(chosen).reduce((bytes, entry) => bytes + entry.transferSize, 0);
  return [
    performance.getEntriesByName("first-contentful-paint")[0].startTime,
    performance.getEntriesByType("navigation")[0].loadEventEnd,
    sum((entry) => entry.entryType === "navigation"),
    sum((entry) => /\\.(css|js|svg)$/.test(entry.name)),
    sum((entry) => entry.name.includes("/thumbnails/")),
    all.filter((entry) => entry.name.includes("/thumbnails/")).length,
  ];
})()"""


def measure() -> Section:
    """Open the gallery of 2,100 pictures anew, with an empty cache each time; thumbnails are made before."""
    with tempfile.TemporaryDirectory(prefix="nightlabel-paint-") as folder:
        with Nightlabel(Path(folder), load_settings()) as command, chromium(Path(folder) / "profile") as browser:
            make_archive(Path(folder) / "archive")
            command("run", "archive")
            grow(command, Path(folder) / "archive", 2_100)
            site = Site(command, browser)
            measured = [_open(site) for _ in range(ROUNDS + 1)][1:]
        names = ("first_paint_ms", "loaded_ms", "html_bytes", "own_bytes", "picture_bytes", "pictures")
        figures = {
            name: statistics.median(column) for name, column in zip(names, zip(*measured, strict=True), strict=True)
        }
    kilobytes = {name: figures[name] / 1000 for name in names if name.endswith("_bytes")}
    lines = [
        f"The gallery of 2,100 pictures in Chromium, 1280 × 900, nothing kept from before; the median of {ROUNDS}.",
        f"Something is seen after {figures['first_paint_ms']:.0f} ms, all of it after {figures['loaded_ms']:.0f} ms.",
        f"The page is {kilobytes['html_bytes']:.1f} kB, its style and scripts {kilobytes['own_bytes']:.1f} kB, and",
        f"the {figures['pictures']:.0f} pictures that come at first {kilobytes['picture_bytes']:.0f} kB.",
    ]
    return Section(lines, figures)


def _open(site: Site) -> list[float]:
    site.browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    site.open("/gallery")
    site.reads(".total", "pictures")
    found: list[float] = site.script(_MEASURED)
    return found
