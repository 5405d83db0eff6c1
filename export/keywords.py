"""What a picture shows, as keywords in a language: kinds with all that is above them, and its label as the leaf."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from export.xmp_fields import Keywords
from vocabulary.kinds import parents, things_of_labels, with_parents
from vocabulary.names import kind_names, label_name

if TYPE_CHECKING:
    from storage.keywords import Shown

#: What parts hierarchical keywords in one of the fields, and what looks like it. No program can tell the two apart that
#: takes keywords apart there, so all fields get the likeness.
_SEPARATORS = str.maketrans({"|": "¦", "/": "∕"})
#: What XML 1.0 cannot hold, not even as a reference. Source: https://www.w3.org/TR/xml/#charsets
_NO_XML = re.compile("[^\\x09\\x0a\\x0d\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def keywords_of(shown: Shown, language: str) -> Keywords:
    """Return the keywords of what a picture shows.

    Args:
        shown: kinds, of which those that the vocabulary does not know are left out, and maybe a label.
        language: of the names; labels that are not ImageNet's have none but their own.

    Raises:
        KeyError: there are no names in this language.

    """
    kinds = [_path_of_kind(kind, language) for kind in shown.things if kind in parents()]
    labels = [_path_of_label(shown.label, language)] if shown.label else []
    return Keywords.from_paths([tuple(filter(None, path)) for path in (*kinds, *labels)])


@cache
def _path_of_kind(kind: str, language: str) -> tuple[str, ...]:
    names = kind_names(language)
    return tuple(_word(names[one]) for one in reversed(with_parents(kind)))


def _path_of_label(label: str, language: str) -> tuple[str, ...]:
    word = _word(label_name(label, language))
    if label not in things_of_labels():
        return (word,)
    above = _path_of_kind(things_of_labels()[label][0], language)
    return above if word.casefold() == above[-1].casefold() else (*above, word)


def _word(name: str) -> str:
    """Return a name as a keyword of any program."""
    return " ".join(_NO_XML.sub(" ", name).translate(_SEPARATORS).split())
