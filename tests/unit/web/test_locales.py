"""The interface is there in each language, whole: no text without a translation, none that nobody shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from tests.conftest import ROOT
from vocabulary.languages import ENGLISH, LANGUAGES
from web.languages import texts, wanted_language

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog, Message

LOCALES = ROOT / "web" / "locales"
#: Texts of the page stand where they are made, which some of the rooms below do.
ROOMS = ("web", "runner", "report", "archive", "storage")
OTHERS = [language for language in LANGUAGES if language != ENGLISH]
PLACEHOLDERS = re.compile(r"%\(\w+\)[sd]|`[^`]+`")


def shown_texts() -> set[str]:
    """Return what the code shows."""
    with (LOCALES / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]  # babel's own
    keywords = DEFAULT_KEYWORDS | {"translate": None, "translatable": None}
    return {
        message[0] if isinstance(message, tuple) else message
        for room in ROOMS
        for _, _, message, *_ in extract_from_dir(ROOT / room, methods, options, keywords)
    }


def catalogue(language: str) -> Catalog:
    with (LOCALES / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def translated(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_there_in_each_language(language: str) -> None:
    messages = {
        message.id if isinstance(message.id, str) else message.id[0]: message for message in catalogue(language)
    }
    messages.pop("")

    shown = shown_texts()
    assert len(shown) > 20
    assert messages.keys() == shown
    assert [text for text, message in messages.items() if message.fuzzy or not all(translated(message))] == []


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_filled_in_is_the_same(language: str) -> None:
    """A placeholder that is missing leaves a figure out; one too many is an error where the page is shown."""
    for message in catalogue(language):
        for text in translated(message) if message.id else []:
            one, *more = [message.id] if isinstance(message.id, str) else message.id
            allowed = {frozenset(PLACEHOLDERS.findall(original)) for original in (one, *more)}
            assert frozenset(PLACEHOLDERS.findall(text)) in allowed, (message.id, text)


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_can_be_shown(language: str) -> None:
    assert texts(language).ugettext("Gallery") not in ("", "Gallery")


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        ("de-CH, de;q=0.9, en;q=0.8", "de"),
        ("pt, fr;q=0.5, en;q=0.7", "en"),
        ("zh-Hans-CN", "zh"),
        ("nl, xx", None),
        ("de;q=0, ja", "ja"),
        ("de;q=often, es", "es"),
        ("", None),
        ("*", None),
    ],
)
def test_the_browsers_languages_count_by_their_weight(accepted: str, wanted: str | None) -> None:
    assert wanted_language(accepted) == wanted
