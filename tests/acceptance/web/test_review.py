"""A review by keyboard, and by forms alone; a query by Ctrl+Enter: as people do them, in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selenium.webdriver.common.keys import Keys

if TYPE_CHECKING:
    from tests.acceptance.web.site import Site


def test_ten_pictures_are_reviewed_by_keyboard_and_the_accuracy_grows(site: Site) -> None:
    site.open("/review")
    field = site.one("input[name=sample]")
    field.clear()
    field.send_keys("10")
    site.one("form.of button.first").click()

    for number, key in enumerate(("y", Keys.ARROW_RIGHT, "n", "s", "y", "n", "y", "y", "y"), 1):
        site.reads("main", f"Picture {number} of 10")
        site.press(key)
    site.reads("main", "Picture 10 of 10")
    site.reads(".accuracy", "6 of 8 labels right")

    site.press("b")
    site.reads("main", "Picture 9 of 10")
    site.press("n")
    site.reads("main", "Picture 10 of 10")
    site.reads(".accuracy", "5 of 8 labels right")

    site.press("=")
    site.press("balloon", Keys.ENTER)  # typed into the field: its letters are no answers
    site.reads("main", "The sample is done")
    site.reads(".accuracy", "of 9 labels right")
    site.assert_well()
    site.assert_accessible()


def test_the_least_sure_are_reviewed_without_scripts(plain_site: Site) -> None:
    plain_site.open("/review?mode=least-sure")
    first = plain_site.one(".asked figcaption").text
    plain_site.one("#answer button[value=skip]").click()
    second = plain_site.one(".asked figcaption", lambda one: one.text != first).text
    plain_site.one("#back").click()
    plain_site.one(".asked figcaption", lambda one: one.text == first)
    assert second != first


def test_a_query_is_run_by_the_keyboard_and_one_of_the_documentation_by_a_click(site: Site) -> None:
    site.open("/sql")
    site.press("select count(*) as pictures from images")
    site.one("#q").send_keys(Keys.CONTROL, Keys.ENTER)
    site.reads(".answer caption", "^1 row, ")
    site.one("nav.card a", lambda one: one.text == "Failures by folder").click()
    site.reads(".answer thead", "error_kind")
    site.assert_well()
    site.assert_accessible()


def test_a_query_is_run_without_scripts_and_an_error_stands_beside_it(plain_site: Site) -> None:
    plain_site.open("/sql")
    box = plain_site.one("#q")
    box.send_keys("delete from images")
    plain_site.one("#query button").click()
    plain_site.reads("#problem", "not authorized")
    assert plain_site.one("#q").get_attribute("value") == "delete from images"
