"""The interface's texts in a reader's language, and which language a reader wants."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from vocabulary.languages import ENGLISH, LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator


@lru_cache
def texts(language: str) -> NullTranslations:
    """Return the interface's texts in a language; the code's own words are English."""
    if language == ENGLISH:
        return NullTranslations()
    catalogue = files("web") / "locales" / f"{language}.po"
    compiled = BytesIO()
    with catalogue.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def wanted_language(accepted: str) -> str | None:
    """Return the first language that a browser asks for (`Accept-Language`) and that is there; None: it asks for none.

    Source: RFC 9110, 12.5.4.
    """
    return next((language for language in _by_weight(accepted) if language in LANGUAGES), None)


def _by_weight(accepted: str) -> Iterator[str]:
    weighted = []
    for place, part in enumerate(accepted.split(",")):
        tag, _, parameters = part.partition(";")
        name, _, value = parameters.strip().partition("=")
        try:
            weight = float(value) if name == "q" else 1.0
        except ValueError:
            continue
        if weight > 0:
            weighted.append((-weight, place, tag.strip().partition("-")[0].lower()))
    yield from (tag for *_, tag in sorted(weighted))
