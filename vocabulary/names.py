"""Names of classes and kinds in people's languages, and what a person means by a word."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from vocabulary.kinds import classes, parents, things_of_labels
from vocabulary.languages import ENGLISH, LANGUAGES
from vocabulary.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: How like a word must be to another one to be worth naming, 0…1, and how many such are named.
_LIKENESS = 0.6
_NEAREST = 5
#: What stands between the words of a name, or does not.
_BETWEEN = re.compile(r"[\s\-_・’']+")


class Thing(NamedTuple):
    """What can be looked for: a class or a kind, by its key."""

    key: str  #: a kind, or a class's label
    is_kind: bool


class Name(NamedTuple):
    """What a language calls a thing."""

    thing: Thing
    name: str
    also: tuple[str, ...]  #: other names that people type
    unsure: str  #: why the translator was not sure; empty: it was


class Match(NamedTuple):
    """A thing of which a name holds what was typed."""

    thing: Thing
    name: str  #: the one that does so best, as it is written
    place: int  #: 0: it begins so; 1: one of its words does; 2: what was typed is somewhere in it


@cache
def names(language: str) -> tuple[Name, ...]:
    """Return the names of all classes, in their order, and then of all kinds.

    Raises:
        KeyError: there are none in this language.

    """
    if language not in LANGUAGES:
        raise KeyError(language)
    of_class = {row["wnid"]: row for row in read_table(_table("classes", language))}
    of_kind = {row["kind"]: row for row in read_table(_table("kinds", language))}
    return (
        *(_name(Thing(one.label, is_kind=False), of_class[one.wnid]) for one in classes()),
        *(_name(Thing(kind, is_kind=True), of_kind[kind]) for kind in parents()),
    )


@cache
def label_names(language: str) -> Mapping[str, str]:
    """Return what a language calls the thing of each of ImageNet's labels."""
    return {one.thing.key: one.name for one in names(language) if not one.thing.is_kind}


@cache
def kind_names(language: str) -> Mapping[str, str]:
    """Return what a language calls each kind."""
    return {one.thing.key: one.name for one in names(language) if one.thing.is_kind}


def label_name(label: str, language: str) -> str:
    """Return what a language calls the thing of a label; the label itself, where it is not one of ImageNet's."""
    return label if language == ENGLISH else label_names(language).get(label, label)


def kind_name(kind: str, language: str) -> str:
    """Return what a language calls a kind; the kind itself, where a newer or older nightlabel has named it."""
    return kind_names(language).get(kind, kind)


def things_called(words: str) -> tuple[Thing, ...]:
    """Return what people of any language mean by these words; a kind stands for its own classes of the same name."""
    found = _by_words().get(_normal(words), ())
    kinds = {thing.key for thing in found if thing.is_kind}
    return tuple(one for one in found if one.is_kind or kinds.isdisjoint(things_of_labels()[one.key]))


def labels_called(words: str) -> tuple[str, ...]:
    """Return the labels of the classes that people of any language call so, whatever kind is called the same."""
    return tuple(thing.key for thing in _by_words().get(_normal(words), ()) if not thing.is_kind)


def nearest_names(words: str) -> tuple[str, ...]:
    """Return names that are written much like these words, the likest first."""
    spelt = _normal(words)
    near = difflib.get_close_matches(spelt, list(_by_words()), n=_NEAREST, cutoff=_LIKENESS)
    return tuple(_spelling()[one] for one in near)


def names_with(typed: str, limit: int) -> list[Match]:
    """Return things of which a name, in any language, holds what was typed, those that match best first."""
    begun = _normal(typed)
    found: dict[Thing, tuple[int, int, str]] = {}
    for words, things in _by_words().items() if begun else ():
        if begun in words:
            place = 0 if words.startswith(begun) else 1 if f" {begun}" in words else 2
            for thing in things:
                found[thing] = min(found.get(thing, (3, 0, "")), (place, len(words), words))
    best = sorted(found.items(), key=lambda one: one[1])[:limit]
    return [Match(thing, _spelling().get(words, words), place) for thing, (place, _, words) in best]


@cache
def _by_words() -> Mapping[str, tuple[Thing, ...]]:
    found: dict[str, list[Thing]] = defaultdict(list)
    for language in LANGUAGES:
        for name in names(language):
            for words in (name.thing.key, name.name, *name.also):
                of_words = found[_normal(words)]
                if name.thing not in of_words:
                    of_words.append(name.thing)
    return {words: tuple(things) for words, things in found.items()}


@cache
def _spelling() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for language in LANGUAGES:
        for name in names(language):
            for words in (name.name, *name.also):
                found.setdefault(_normal(words), words)
    return found


def _normal(words: str) -> str:
    """Return what words have in common that are written with or without accents, capitals and hyphens."""
    kept = words.casefold()
    if not kept.isascii():  # those that are need none of it, and are most of all names
        plain = unicodedata.normalize("NFKD", kept)
        kept = "".join(sign for sign in plain if not unicodedata.combining(sign) or _is_voiced(sign))
        kept = unicodedata.normalize("NFC", kept)
    return _BETWEEN.sub(" ", kept).strip()


def _is_voiced(sign: str) -> bool:
    """Tell whether a mark makes another letter of a kana: ハ, バ and パ are three."""
    return sign in "\u3099\u309a"


def _table(what: str, language: str) -> str:
    return f"names/{what}-{language}.tsv" if (what, language) != ("classes", ENGLISH) else "classes.tsv"


def _name(thing: Thing, row: Mapping[str, str]) -> Name:
    also: Sequence[str] = row["also"].split("; ") if row["also"] else ()
    return Name(thing, row.get("name") or row["label"], tuple(also), row.get("unsure") or "")
