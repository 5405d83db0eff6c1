"""Each view, wide and narrow, light and dark: no error on its console, nothing from elsewhere, and for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.web.site import Site

VIEWS = ["/try", "/gallery", "/gallery?q=balloon", "/images/1/", "/night", "/failures", "/review", "/sql?q=select+1"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_well_and_for_everybody(site: Site, view: str, width: int, scheme: str) -> None:
    site.open(view, width=width, scheme=scheme)
    site.one("main h1, main")

    site.assert_well()
    site.assert_accessible()


#: Each language on one view; and each view in German, whose words are the longest.
SPOKEN = [*((view, "de") for view in VIEWS), *(("/gallery", language) for language in ("zh", "fr", "es", "ja"))]


@pytest.mark.parametrize(("view", "language"), SPOKEN)
def test_a_view_speaks_the_readers_language(site: Site, view: str, language: str) -> None:
    joint = "&" if "?" in view else "?"
    site.open(f"{view}{joint}lang={language}", width=400)

    assert site.script("document.documentElement.lang") == language
    site.assert_well()
    site.open(f"{view}{joint}lang=en")
