"""Names of classes and kinds in six languages, and what is meant by a word."""

from __future__ import annotations

import unicodedata
from collections import defaultdict

import pytest

from common.errors import UsageError
from vocabulary.kinds import classes, parents, things_of_labels
from vocabulary.languages import ENGLISH, LANGUAGES, chosen_language, user_language
from vocabulary.names import Thing, kind_name, label_name, label_names, names, nearest_names, things_called
from vocabulary.tables import read_table

OTHERS = [language for language in LANGUAGES if language != ENGLISH]
#: Scripts whose letters a name of a language may have, by the first word of their Unicode names.
SCRIPTS = {"zh": {"CJK"}, "ja": {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}}


@pytest.mark.parametrize("language", OTHERS)
def test_every_class_and_every_kind_has_a_name(language: str) -> None:
    rows = read_table(f"names/classes-{language}.tsv")
    assert [(row["wnid"], row["english"]) for row in rows] == [(one.wnid, one.label) for one in classes()]
    assert [row["kind"] for row in read_table(f"names/kinds-{language}.tsv")] == list(parents())
    assert all(name.name for name in names(language))


@pytest.mark.parametrize("language", OTHERS)
def test_two_classes_share_a_name_only_where_both_rows_say_so(language: str) -> None:
    ids = {one.label: one.wnid for one in classes()}
    sharing = defaultdict(list)
    for name in names(language):
        if not name.thing.is_kind:
            sharing[name.name].append(name)
    for shared in (found for found in sharing.values() if len(found) > 1):
        for name in shared:
            others = [ids[other.thing.key] for other in shared if other is not name]
            assert any(f"same word as {wnid}" in name.unsure for wnid in others), name


@pytest.mark.parametrize("language", OTHERS)
def test_two_kinds_never_share_a_name(language: str) -> None:
    called = [name.name for name in names(language) if name.thing.is_kind]
    assert len(set(called)) == len(called)


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_are_plain_text(language: str) -> None:
    for name in names(language):
        for words in (name.name, *name.also):
            assert words == words.strip(), name
            assert words == unicodedata.normalize("NFC", words), name
            assert not any(unicodedata.category(sign) in {"Cc", "Cf", "Zl", "Zp"} for sign in words), name
            assert not set(words) & set("|\t;"), name


@pytest.mark.parametrize("language", OTHERS)
def test_a_name_is_no_class_of_another_name(language: str) -> None:
    """What is typed besides is never the name of another class: it would find the wrong pictures."""
    called = {name.name: name.thing for name in names(language) if not name.thing.is_kind}
    for name in names(language):
        if not name.thing.is_kind:
            for words in name.also:
                assert called.get(words, name.thing) == name.thing, name


@pytest.mark.parametrize("language", SCRIPTS)
def test_names_are_written_in_the_languages_own_script(language: str) -> None:
    def is_own(name: str) -> bool:
        return any(unicodedata.name(sign).split()[0] in SCRIPTS[language] for sign in name)

    foreign = [name.name for name in names(language) if not is_own(name.name)]
    assert len(foreign) <= 10, foreign  # T恤, iPod


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        *[(words, "dog") for words in ("dog", "DOG", "Hund", "狗", "chien", "perro", "犬", " hund ")],
        *[(words, "cat") for words in ("Katze", "猫", "chat", "gato")],
        ("meduse", "jellyfish"),
        ("Méduse", "jellyfish"),
        ("Qualle", "jellyfish"),
        ("水母", "jellyfish"),
        ("クラゲ", "jellyfish"),
    ],
)
def test_a_kind_is_found_by_its_name_in_any_language(words: str, kind: str) -> None:
    assert things_called(words) == (Thing(kind, is_kind=True),)


def test_a_class_is_found_by_its_names() -> None:
    retriever = (Thing("golden retriever", is_kind=False),)
    assert things_called("golden retriever") == retriever
    assert things_called("Golden-Retriever") == retriever
    assert things_called("金毛寻回犬") == retriever


def test_a_kind_stands_for_its_own_class_of_the_same_name_and_for_no_other() -> None:
    assert things_called("lion") == (Thing("lion", is_kind=True),)
    assert set(things_called("Fliege")) == {Thing("fly", is_kind=True), Thing("bow tie", is_kind=False)}


def test_a_word_of_several_meanings_is_all_of_them() -> None:
    assert {thing.key for thing in things_called("crane")} == {"crane (bird)", "crane (machine)"}


def test_voiced_kana_are_letters_of_their_own() -> None:
    assert things_called("ハト") != things_called("バト") or not things_called("ハト")
    assert things_called("クラケ") == ()


def test_what_is_not_known_has_names_like_it() -> None:
    assert things_called("elefphant") == ()
    assert "elephant" in nearest_names("elefphant")
    assert nearest_names("qqqqqqq") == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_finds_itself(language: str) -> None:
    for name in names(language):
        found = things_called(name.name)
        reached = {thing.key for thing in found}
        own = name.thing.key
        above = things_of_labels()[own] if not name.thing.is_kind else ()
        assert own in reached or reached & set(above), name


def test_names_are_applied_when_shown() -> None:
    assert label_name("jellyfish", "de") == "Qualle"
    assert label_name("my own class", "de") == "my own class"
    assert kind_name("dog", "zh") == "狗"
    assert kind_name("a kind of a newer version", "zh") == "a kind of a newer version"
    assert label_names(ENGLISH) == {one.label: one.label for one in classes()}


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "de"}, "de"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "fr_FR"}, "fr"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "zh_CN.GB18030"}, "zh"),
        ({"LANG": "es@euro"}, "es"),
        ({"LC_ALL": "", "LANG": "ja_JP"}, "ja"),
        ({"LANG": "nl_NL.UTF-8"}, "en"),
    ],
)
def test_the_language_is_the_locales(environment: dict[str, str], language: str) -> None:
    assert user_language(environment) == language


def test_a_language_without_names_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"'nl': there are no names in it\. There are: en .*, zh .*, de "):
        chosen_language("nl")
    assert chosen_language("ja") == "ja"
