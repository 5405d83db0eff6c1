"""Keywords in a sidecar: ours come and go, and what others wrote stays as it was."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from export.xmp import Sidecar
from export.xmp_fields import FIELDS, SUBJECT, Keywords
from export.xmp_packet import MAX_BYTES, NotXmpError
from tests.unit.export.sidecar_samples import DIGIKAM, EMPTY, LIGHTROOM, OTHER_KINDS, SAMPLES, TERSE

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

DOG = Keywords.from_paths([("Tier", "Säugetier", "Hund", "Golden Retriever"), ("Tier",)])
CAT = Keywords.from_paths([("动物", "哺乳动物", "猫")])
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def canonical(data: bytes) -> bytes:
    return etree.tostring(etree.fromstring(data).getroottree(), method="c14n")


def merged(data: bytes, keywords: Keywords = DOG, language: str = "de") -> bytes:
    sidecar = Sidecar.parse(data)
    assert sidecar.merge(keywords, language)
    return sidecar.to_bytes()


def removed(data: bytes) -> bytes:
    sidecar = Sidecar.parse(data)
    assert sidecar.remove()
    return sidecar.to_bytes()


def lists(data: bytes) -> dict[str, tuple[str, list[str | None]]]:
    """Return each field's kind of list and its items."""
    found = {}
    for field in FIELDS:
        for element in etree.fromstring(data).iter(*field.tags):
            found[field.shown] = (
                str(element[0].tag).removeprefix(RDF),
                [item.text for item in element[0].iter(f"{RDF}li")],
            )
    return found


def test_paths_are_hierarchical_keywords_and_their_words_flat_ones() -> None:
    sidecar = Sidecar.new()
    assert sidecar.merge(DOG, "de")
    path = ("nightlabel", "Tier", "Säugetier", "Hund", "Golden Retriever")
    assert lists(sidecar.to_bytes()) == {
        "dc:subject": ("Bag", list(path[1:])),
        "lr:hierarchicalSubject": ("Bag", ["|".join(path)]),
        "digiKam:TagsList": ("Seq", ["/".join(path)]),
        "MicrosoftPhoto:LastKeywordXMP": ("Bag", ["/".join(path)]),
    }


def test_a_new_sidecar_is_ours_and_empty_once_ours_is_out() -> None:
    sidecar = Sidecar.new()
    sidecar.merge(DOG, "de")
    again = Sidecar.parse(sidecar.to_bytes())
    assert (again.is_created_here, again.is_empty) == (True, False)
    assert again.remove()
    assert again.is_empty


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_taken_out_leaves_a_sidecar_as_it_was(name: str) -> None:
    data = SAMPLES[name]
    after = removed(merged(merged(data), CAT, "zh"))
    assert canonical(after) == canonical(data)
    assert not Sidecar.parse(after).is_created_here


@pytest.mark.parametrize("name", SAMPLES)
def test_what_others_wrote_is_still_there_beside_ours(name: str) -> None:
    """Without the items that are ours, and the block of our notes, the documents are the same."""
    data = SAMPLES[name]
    tree = etree.fromstring(merged(data))
    own = next(tree.iter("{nightlabel:ns:sidecar/1.0/}language")).getparent()
    assert own is not None
    noted = {item.text for note in own if note.tag == "{nightlabel:ns:sidecar/1.0/}subjects" for item in note[0]}
    drop(own)
    for item in list(tree.iter(f"{RDF}li")):
        if item.text in noted or (item.text or "").startswith(("nightlabel|", "nightlabel/")):
            drop(item)
    assert without_space(tree) == without_space(etree.fromstring(data))


def drop(element: Element) -> None:
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)


def without_space(tree: Element) -> bytes:
    for element in tree.iter():
        element.text = (element.text or "").strip() or None
        element.tail = (element.tail or "").strip() or None
    return etree.tostring(tree, method="c14n")


@pytest.mark.parametrize("name", SAMPLES)
def test_what_stands_around_the_document_stays_byte_for_byte(name: str) -> None:
    data = SAMPLES[name]
    after = merged(data)
    start, end = data.find(b"<x:xmpmeta"), data.rfind(b"</x:xmpmeta>")
    if start >= 0 and end >= 0:
        assert after.startswith(data[:start])
        assert after.endswith(data[end:])
    if b"\r\n" in data:
        assert after.count(b"\n") == after.count(b"\r\n")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_again_changes_nothing(name: str) -> None:
    again = Sidecar.parse(merged(SAMPLES[name]))
    assert not again.merge(DOG, "de")


@pytest.mark.parametrize("name", SAMPLES)
def test_other_keywords_replace_ours_alone(name: str) -> None:
    data = SAMPLES[name]
    assert canonical(merged(merged(data), CAT, "zh")) == canonical(merged(data, CAT, "zh"))


def test_a_persons_word_is_not_taken_for_ours() -> None:
    """`Hund` was there: it is not added again, not noted, and stays."""
    data = merged(DIGIKAM.encode())
    assert lists(data)["dc:subject"] == ("Bag", ["Rex", "Hund", "Tier", "Säugetier", "Golden Retriever"])
    assert lists(removed(data))["dc:subject"] == ("Bag", ["Rex", "Hund"])


def test_a_word_that_a_person_adds_beside_ours_stays() -> None:
    data = merged(LIGHTROOM.encode()).replace(b"<rdf:li>beach</rdf:li>", b"<rdf:li>beach</rdf:li><rdf:li>Tier</rdf:li>")
    assert lists(removed(data))["dc:subject"] == ("Bag", ["beach", "Tier", "summer"])


def test_a_word_of_ours_that_somebody_deleted_is_written_again() -> None:
    before, noted, after = merged(LIGHTROOM.encode()).partition(b"<nightlabel:subjects>")
    data = before.replace(b"<rdf:li>Hund</rdf:li>", b"") + noted + after
    assert lists(data)["dc:subject"][1][-2:] == ["Säugetier", "Golden Retriever"]
    assert lists(merged(data))["dc:subject"][1][-3:] == ["Säugetier", "Hund", "Golden Retriever"]


def test_new_items_are_indented_like_the_others() -> None:
    lines = merged(LIGHTROOM.encode()).decode().splitlines()
    place = lines.index("     <rdf:li>summer</rdf:li>")
    assert lines[place + 1 : place + 3] == ["     <rdf:li>Tier</rdf:li>", "     <rdf:li>Säugetier</rdf:li>"]
    assert lines[place + 4 : place + 6] == ["     <rdf:li>Golden Retriever</rdf:li>", "    </rdf:Bag>"]


def test_lists_keep_their_kind() -> None:
    found = lists(merged(OTHER_KINDS.encode()))
    assert found["dc:subject"][0] == "Seq"
    assert found["digiKam:TagsList"][0] == "Bag"


def test_a_new_block_is_about_the_same_thing() -> None:
    blocks = etree.fromstring(merged(LIGHTROOM.encode())).iter(f"{RDF}Description")
    assert {block.get(f"{RDF}about") for block in blocks} == {"uuid:faf5bdd5-ba3d-11da-ad31-d33d75182f1b"}


def test_prefixes_that_stand_for_something_else_are_no_trouble() -> None:
    data = merged(TERSE.encode())
    assert lists(data)["dc:subject"][1] == list(DOG.words)
    assert b"<![CDATA[a<b]]>" in data


def test_no_keywords_is_the_same_as_taking_ours_out() -> None:
    sidecar = Sidecar.parse(merged(DIGIKAM.encode()))
    assert sidecar.merge(Keywords((), ()), "de")
    assert canonical(sidecar.to_bytes()) == canonical(DIGIKAM.encode())


def test_without_ours_there_is_nothing_to_take_out() -> None:
    assert not Sidecar.parse(DIGIKAM.encode()).remove()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "there is no XML in it"),
        (b"\0\0\0", "it is not well-formed"),
        (b"<x:xmpmeta", "it is not well-formed"),
        (DIGIKAM.encode()[:900], "it is not well-formed"),
        (b"<html><body/></html>", "it is XML, but not XMP"),
        (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>', "it is XML, but not XMP"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + EMPTY.encode(), "it has a DTD"),
        (b"<?xml version='1.0'?>\n<!-- x -->\n<!DOCTYPE x SYSTEM 'http://localhost/x.dtd'><x/>", "it has a DTD"),
        (EMPTY.replace("<rdf:Description", "&lol;<rdf:Description").encode(), "it is not well-formed"),
        (b"\xff" + EMPTY.encode(), "it is not in utf-8"),
        (b"<?xml version='1.0' encoding='unicode_escape'?>" + EMPTY.encode(), "its encoding unicode_escape is not"),
        (EMPTY.encode() + b" " * MAX_BYTES, "it has more than 10 MB"),
        (EMPTY.replace("<rdf:Desc", "<a>" * 5000 + "<rdf:Desc").encode(), "it is not well-formed"),
        (EMPTY.replace("/>", ' xmlns:dc="http://purl.org/dc/elements/1.1/" dc:subject="a"/>').encode(), "its dc:sub"),
        (DIGIKAM.replace("<rdf:Seq>", "").replace("</rdf:Seq>", "").encode(), "its digiKam:TagsList is no list"),
    ],
)
def test_what_is_not_understood_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(NotXmpError, match=f"^{why}"):
        Sidecar.parse(data)


WORDS = st.text(st.sampled_from("abÄ狗<&>'\"]]> \u2028"), min_size=1, max_size=4).map(str.strip).filter(bool)
PATHS = st.lists(st.lists(WORDS, min_size=1, max_size=4).map(tuple), max_size=4).map(Keywords.from_paths)


@given(name=st.sampled_from(sorted(SAMPLES)), first=PATHS, second=PATHS, persons=st.lists(WORDS, max_size=3))
def test_ours_come_and_go_whatever_they_are(name: str, first: Keywords, second: Keywords, persons: list[str]) -> None:
    """A person's words may be among ours, several times too."""
    sidecar = Sidecar.parse(SAMPLES[name])
    for items in sidecar._lists(SUBJECT):
        for word in persons:
            etree.SubElement(items, f"{RDF}li").text = word
    before = sidecar.to_bytes()
    flat = Counter(sidecar._items(SUBJECT))

    sidecar.merge(first, "de")
    sidecar = Sidecar.parse(sidecar.to_bytes())
    assert not sidecar.merge(first, "de")
    sidecar.merge(second, "fr")
    sidecar = Sidecar.parse(sidecar.to_bytes())
    found = Counter(sidecar._items(SUBJECT))
    assert flat <= found
    assert set(found) == {*flat, *second.words}

    sidecar.remove()
    assert canonical(sidecar.to_bytes()) == canonical(before)
