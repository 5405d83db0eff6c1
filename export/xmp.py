"""Keywords in an XMP document: ours are merged into what others wrote, and can be taken out again without a trace.

What is ours is known by two things. All hierarchical keywords lie under one root, `nightlabel|…`. Of the flat ones in
`dc:subject`, those that we added are noted in `nightlabel:subjects`; a word that was there before is a person's: it is
not noted, and stays. The notes are properties in a namespace of our own, which other programs keep as they are:

- `nightlabel:language`: of the names.
- `nightlabel:subjects`: a Bag, the words of `dc:subject` that are ours.
- `nightlabel:empty`: a Bag, the fields that were there before with an empty list.
- `nightlabel:created`: `True` where the whole sidecar is ours.

What is new lies in an `rdf:Description` of its own, after the others; keywords of ours in a list that is there already
come last in it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Self

from lxml import etree

from export.xmp_fields import FIELDS, ROOT, SUBJECT, Field, Keywords
from export.xmp_packet import RDF, NotXmpError, Packet, parse_packet
from export.xmp_tree import append, indent_in, take_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lxml.etree import _Element as Element

#: Like Adobe's own `adobe:ns:meta/`, a name and no address: nothing is to be found there.
NAMESPACE = "nightlabel:ns:sidecar/1.0/"
_OWN = f"{{{NAMESPACE}}}"
_DESCRIPTION, _ABOUT, _LI = f"{RDF}Description", f"{RDF}about", f"{RDF}li"
_LISTS = (f"{RDF}Bag", f"{RDF}Seq", f"{RDF}Alt")
_SKELETON = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="nightlabel">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 </rdf:RDF>
</x:xmpmeta>
"""


class Sidecar:
    """The keywords of a document."""

    def __init__(self, packet: Packet, *, is_new: bool = False) -> None:
        self._packet = packet
        self._rdf = packet.rdf()
        for field in FIELDS:
            list(self._lists(field))  # so that what is not understood is said at once
        self.is_created_here = is_new or self._note("created") == "True"  #: the whole document was ours at first

    @classmethod
    def new(cls) -> Self:
        """Return a document that is all ours."""
        return cls(parse_packet(_SKELETON), is_new=True)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the document that a file holds.

        Raises:
            NotXmpError: it holds none that is understood here.

        """
        return cls(parse_packet(data))

    def to_bytes(self) -> bytes:
        return self._packet.to_bytes()

    @property
    def is_empty(self) -> bool:
        """Whether it holds no property at all, and nothing else that anybody wrote."""
        return all(child.tag == _DESCRIPTION and _is_void(child) for child in self._rdf)

    def merge(self, keywords: Keywords, language: str) -> bool:
        """Make our keywords these, and leave all others alone; tell whether anything had to change."""
        if not keywords.words:
            return self.remove()
        if self._is_as_wanted(keywords, language):
            return False
        self.remove()
        self._add(keywords, language)
        return True

    def remove(self) -> bool:
        """Take our keywords and notes out; tell whether there were any."""
        noted = Counter(self._noted("subjects"))
        were_empty = set(self._noted("empty"))
        found = False
        for field in FIELDS:
            for items in list(self._lists(field)):
                ours = _ours(field, items, noted)
                for item in ours:
                    take_out(item)
                found |= bool(ours)
                if ours and not len(items) and field.shown not in were_empty:
                    take_out(_parent(items))
        return self._remove_notes() or found

    def _is_as_wanted(self, keywords: Keywords, language: str) -> bool:
        if self._note("language") != language:
            return False
        noted = self._noted("subjects")
        present = Counter(self._items(SUBJECT))
        persons = present - Counter(noted)
        if Counter(noted) - present or set(noted) != {word for word in keywords.words if word not in persons}:
            return False
        return all(
            {item for item in self._items(field) if _is_below_root(item, field)} == set(keywords.of(field))
            for field in FIELDS
            if field.separator
        )

    def _add(self, keywords: Keywords, language: str) -> None:
        persons = set(self._items(SUBJECT))
        block = self._new_block()
        if self.is_created_here:
            etree.SubElement(block, f"{_OWN}created").text = "True"
        etree.SubElement(block, f"{_OWN}language").text = language
        were_empty = []
        for field in FIELDS:
            wanted = keywords.of(field)
            if field is SUBJECT:
                wanted = tuple(word for word in wanted if word not in persons)
                _add_list(block, f"{_OWN}subjects", "Bag", wanted)
            there = next(self._lists(field), None)
            if there is None:
                _add_list(block, field.tags[0], field.kind, wanted)
                continue
            if not len(there):
                were_empty.append(field.shown)
            for item in wanted:
                append(there, _item(item))
        _add_list(block, f"{_OWN}empty", "Bag", were_empty)
        append(self._rdf, block)
        indent_in(self._rdf, block)

    def _new_block(self) -> Element:
        """Return a description of the same thing as the others, with all prefixes."""
        first = next(self._descriptions(), None)
        about = "" if first is None else first.get(_ABOUT) or first.get("about") or ""
        prefixes = {field.prefix: field.namespace for field in FIELDS}
        return etree.Element(_DESCRIPTION, {_ABOUT: about}, nsmap={"rdf": RDF[1:-1], **prefixes, ROOT: NAMESPACE})

    def _remove_notes(self) -> bool:
        found = False
        for description in list(self._descriptions()):
            notes = [child for child in description if _is_own(child.tag)]
            attributes = [name for name in description.attrib if _is_own(name)]
            for note in notes:
                take_out(note)
            for name in attributes:
                del description.attrib[name]
            if notes or attributes:
                found = True
                if _is_void(description):
                    take_out(description)
        return found

    def _descriptions(self) -> Iterator[Element]:
        return (child for child in self._rdf if child.tag == _DESCRIPTION)

    def _lists(self, field: Field) -> Iterator[Element]:
        """Yield the lists of a field: one, but for programs that do not keep to XMP.

        Raises:
            NotXmpError: it is there, and no list.

        """
        for description in self._descriptions():
            if any(tag in description.attrib for tag in field.tags):
                raise NotXmpError(f"its {field.shown} is no list")
            for child in description:
                if child.tag in field.tags:
                    lists = [inner for inner in child if isinstance(inner.tag, str)]
                    if len(lists) != 1 or lists[0].tag not in _LISTS:
                        raise NotXmpError(f"its {field.shown} is no list")
                    yield lists[0]

    def _items(self, field: Field) -> list[str]:
        return [item.text or "" for items in self._lists(field) for item in items.findall(_LI)]

    def _noted(self, name: str) -> list[str]:
        return [
            item.text or ""
            for description in self._descriptions()
            for note in description.findall(f"{_OWN}{name}")
            for item in note.iter(_LI)
        ]

    def _note(self, name: str) -> str | None:
        """Return a note that is a single text, which some programs write as an attribute."""
        for description in self._descriptions():
            value = description.get(f"{_OWN}{name}") or description.findtext(f"{_OWN}{name}")
            if value:
                return value
        return None


def _ours(field: Field, items: Element, noted: Counter[str]) -> list[Element]:
    """Return which items of a list are ours; of equal ones, as many as are noted, from the end."""
    if field.separator:
        return [item for item in items.findall(_LI) if _is_below_root(item.text or "", field)]
    found = []
    for item in reversed(items.findall(_LI)):
        word = item.text or ""
        if noted[word] > 0:
            noted[word] -= 1
            found.append(item)
    return found


def _is_below_root(item: str, field: Field) -> bool:
    return item.partition(field.separator)[0] == ROOT


def _add_list(block: Element, tag: str, kind: str, items: Sequence[str]) -> None:
    """Add a property with a list, unless there is nothing in it."""
    if items:
        inner = etree.SubElement(etree.SubElement(block, tag), f"{RDF}{kind}")
        inner.extend(map(_item, items))


def _item(text: str) -> Element:
    item = etree.Element(_LI)
    item.text = text
    return item


def _is_own(tag: object) -> bool:
    return isinstance(tag, str) and tag.startswith(_OWN)


def _is_void(description: Element) -> bool:
    return len(description) == 0 and set(description.attrib) <= {_ABOUT, "about"}


def _parent(element: Element) -> Element:
    parent = element.getparent()
    assert parent is not None
    return parent
