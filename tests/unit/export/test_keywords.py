"""What a picture shows, as keywords: kinds and what they are in turn, and its label as the leaf."""

from __future__ import annotations

import pytest

from export.keywords import keywords_of
from export.xmp_fields import FIELDS, ROOT
from storage.keywords import Shown
from vocabulary.languages import LANGUAGES

DOG = Shown("/a.jpg", ("dog", "mammal", "animal"), "golden retriever")


@pytest.mark.parametrize(
    ("language", "path"),
    [
        ("en", ("animal", "mammal", "dog", "golden retriever")),
        ("de", ("Tier", "Säugetier", "Hund", "Golden Retriever")),
        ("zh", ("动物", "哺乳动物", "狗", "金毛寻回犬")),
    ],
)
def test_a_label_is_the_leaf_below_its_kind(language: str, path: tuple[str, ...]) -> None:
    assert keywords_of(DOG, language) == ((path,), path)


def test_what_a_longer_keyword_says_is_not_said_twice() -> None:
    shown = Shown("/a.jpg", ("dog", "mammal", "animal", "tennis ball", "ball"), None)
    assert ("animal", "mammal", "dog") in keywords_of(shown, "en").paths
    assert len([path for path in keywords_of(shown, "en").paths if path[0] == "animal"]) == 1


def test_a_kind_that_is_not_sure_leaves_what_is_above_it() -> None:
    assert keywords_of(Shown("/a.jpg", ("mammal", "animal")), "en").paths == (("animal", "mammal"),)


def test_a_label_that_is_called_like_its_kind_is_said_once() -> None:
    for language in LANGUAGES:
        for path in keywords_of(Shown("/a.jpg", (), "ox"), language).paths:
            assert len({word.casefold() for word in path[-2:]}) == len(path[-2:])


def test_a_models_own_label_has_no_kind() -> None:
    assert keywords_of(Shown("/a.jpg", (), "weld seam"), "de").paths == (("weld seam",),)


def test_kinds_that_are_not_known_here_are_left_out() -> None:
    assert keywords_of(Shown("/a.jpg", ("gizmo",)), "en") == ((), ())


@pytest.mark.parametrize("label", ["cup/mug", "a|b", "\x07bell\x00 ", "|", "two\nlines", "\ud800x"])
def test_separators_and_what_xml_cannot_hold_are_in_no_word(label: str) -> None:
    keywords = keywords_of(Shown("/a.jpg", (), label), "en")
    for field in FIELDS:
        for item in keywords.of(field):
            parts = item.split(field.separator) if field.separator else [ROOT, item]
            assert len(parts) == 2
            assert parts[1] == parts[1].strip() != ""
            assert parts[1].isprintable()
    assert all("|" not in word and "/" not in word for word in keywords.words)


def test_a_label_of_nothing_but_rubbish_is_no_keyword() -> None:
    assert keywords_of(Shown("/a.jpg", (), "\x00 "), "en") == ((), ())
