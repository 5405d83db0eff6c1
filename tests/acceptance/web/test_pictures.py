"""The pictures of the page in the README: `pytest --draw-pictures -n 0 tests/acceptance/web/test_pictures.py`.

A `--basetemp` besides makes the paths in them short. Without the option they are drawn as well, and thrown away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.command import wait_until
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.web.site import Site

#: Pixels of a window; of what is in it, README shows half the size.
_WIDTH, _HEIGHT = 1200, 750
_KEPT = ROOT / "docs" / "pictures"


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return _KEPT if request.config.getoption("--draw-pictures") else tmp_path


def draw(site: Site, path: Path) -> None:
    """Save the window once all pictures in it have come."""
    wait_until(
        lambda: (
            site.script(
                "[...document.images].filter(one => one.getBoundingClientRect().top < innerHeight)"
                ".every(one => one.complete && one.naturalWidth > 0)"
            )
            or None
        )
    )
    whole = path.with_suffix(".png")
    site.picture(whole)
    with Image.open(whole) as drawn:
        drawn.convert("RGB").save(path, quality=88, method=6)
    whole.unlink()
    assert path.stat().st_size > 10_000


def test_the_gallery_is_drawn(site: Site, folder: Path) -> None:
    site.open("/gallery?sort=path&lang=en", width=_WIDTH, height=_HEIGHT)
    site.reads(".total", "pictures")
    draw(site, folder / "gallery.webp")


def test_a_picture_is_drawn(site: Site, folder: Path) -> None:
    ((image_id,),) = site.command.sql(
        "select id from images where path like '%/2026/%/traffic-light-%' order by path limit 1"
    )
    site.open(f"/images/{image_id}/?lang=en", scheme="dark", width=_WIDTH, height=_HEIGHT)
    site.one("main img")
    draw(site, folder / "picture.webp")


def test_trying_is_drawn(site: Site, folder: Path) -> None:
    names = ("balloon", "spider-web", "candle", "bubble")
    paths = [next((site.command.folder / "archive").rglob(f"{name}-*.jpg")) for name in names]
    site.open("/try?lang=en", width=_WIDTH, height=_HEIGHT)
    site.all("#files")[0].send_keys("\n".join(map(str, paths)))
    site.one("article:not([aria-busy])", lambda _: len(site.all("article:not([aria-busy])")) == len(paths))
    draw(site, folder / "try.webp")
