"""The languages that names are there in, and which of them a person reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from common.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENGLISH = "en"
#: By ISO 639-1: each with its own name.
LANGUAGES: Mapping[str, str] = {
    ENGLISH: "English",
    "zh": "中文",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "ja": "日本語",
}
#: What tells a process its user's language, in the order in which it counts. Source: POSIX, environment variables
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def translatable(text: str) -> str:
    """Return a text as it is: it is looked up in the reader's language once it is known who reads it."""
    return text


def chosen_language(language: str | None) -> str:
    """Return the language that is set, or else the locale's.

    Raises:
        UsageError: there are no names in it.

    """
    if language is None:
        return user_language()
    if language not in LANGUAGES:
        there = ", ".join(f"{code} ({name})" for code, name in LANGUAGES.items())
        raise UsageError(f"NIGHTLABEL_LANGUAGE = {language!r}: there are no names in it. There are: {there}.")
    return language


def user_language(environment: Mapping[str, str] = os.environ) -> str:
    """Return the language of the locale, if names are there in it; else English."""
    locale = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    language = locale.replace("-", "_").partition("_")[0].partition(".")[0].partition("@")[0].lower()
    return language if language in LANGUAGES else ENGLISH
