"""Elements put into a tree and taken out again, so that its white space is what it was before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

if TYPE_CHECKING:
    from lxml.etree import _Element as Element


def append(parent: Element, element: Element) -> None:
    """Put an element after all others, indented as they are."""
    last = parent[-1] if len(parent) else None
    if last is None:
        element.tail = parent.text
    else:
        element.tail = last.tail
        if not (parent.text or "").strip():
            last.tail = parent.text
    parent.append(element)


def take_out(element: Element) -> None:
    """Undo `append`, whatever was put in since; and take out any other element with the white space before it."""
    before = element.getprevious()
    if before is not None:
        before.tail = element.tail
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)


def indent_in(parent: Element, element: Element) -> None:
    """Indent what is in an element that has been put into a parent, if the parent's own elements are indented."""
    lead = (parent.text or "").rpartition("\n")[2]
    if "\n" in (parent.text or "") and not lead.strip():
        tail = element.tail
        etree.indent(element, space="\t" if "\t" in lead else " ", level=len(lead))
        element.tail = tail
