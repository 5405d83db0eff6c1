"""Try, as a person does it: choose, drop, paste; and without scripts."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pillow_heif
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

    from tests.acceptance.web.site import Site

#: Hands a picture to the page as a browser does where one is dropped, or pasted.
_HAND_OVER = """
const [kind, name, data] = arguments;
const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
document.body.dispatchEvent(kind === "drop"
  ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
  : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
"""


def drawn(site: Site, name: str) -> Path:
    return next((site.command.folder / "archive").rglob(f"{name}-*.jpg"))


def test_pictures_that_are_chosen_are_labelled_in_place(site: Site, tmp_path: Path) -> None:
    heic = tmp_path / "balloon.heic"
    with Image.open(drawn(site, "balloon")) as picture:
        pillow_heif.from_pillow(picture).save(heic)
    no_picture = tmp_path / "<b>holiday.jpg"
    no_picture.write_text("no picture")
    site.open("/try?lang=de")
    site.all("#files")[0].send_keys(f"{drawn(site, 'crossword')}\n{heic}\n{no_picture}")

    shown = {card.find_element("css selector", ".path").text: card.text for card in cards(site, 3)}
    assert "Kreuzworträtsel" in shown[drawn(site, "crossword").name]
    assert "%" in shown[drawn(site, "crossword").name]
    assert "Ballon" in shown["balloon.heic"]
    assert "not_an_image" not in shown["<b>holiday.jpg"]
    assert all(
        width > 0 for width in site.script("[...document.querySelectorAll('article img')].map(i => i.naturalWidth)")
    )
    site.assert_well()
    site.assert_accessible()
    site.open("/try?lang=en")


def test_a_picture_that_is_dropped_or_pasted_is_labelled(site: Site) -> None:
    data = base64.b64encode(drawn(site, "candle").read_bytes()).decode()
    site.open("/try?lang=en")
    for number, kind in enumerate(("drop", "paste"), 1):
        site.browser.execute_script(_HAND_OVER, kind, f"{kind}ed.jpg", data)
        assert "candle" in cards(site, number)[0].text


def test_without_scripts_a_form_does_it(plain_site: Site) -> None:
    plain_site.open("/try")
    plain_site.all("#files")[0].send_keys(str(drawn(plain_site, "parachute")))
    plain_site.one("form.upload button").click()

    assert "parachute" in cards(plain_site, 1)[0].text


def cards(site: Site, count: int) -> list[WebElement]:
    """Return the answers once there are so many."""
    site.one("article:not([aria-busy])", lambda _: len(site.all("article:not([aria-busy])")) == count)
    return site.all("article:not([aria-busy])")
