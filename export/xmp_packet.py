"""The bytes of an XMP sidecar: what stands before and after its root element is kept as it is, the rest is a tree.

Source: ISO 16684-1 (XMP), 7.3 «XMP packet wrapper» and 7.4 «x:xmpmeta element».
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
#: Bytes that a sidecar may have. Lightroom's with many masks have some hundred thousand.
MAX_BYTES = 10_000_000
_ROOTS = ("{adobe:ns:meta/}xmpmeta", "{adobe:ns:meta/}xapmeta")  # the second one of Adobe's early programs
#: What may stand before the root element.
_MISC = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_DECLARED = re.compile(rb"<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z][\w.:-]*)[\"']")
#: Of those that Python knows, the ones that keep ASCII as it is; not `unicode_escape` and its like.
_ENCODINGS = re.compile(r"utf-8|ascii|iso8859-\d+|cp125\d|koi8-[ru]|gb18030|gbk|gb2312|big5|shift_jis|euc_\w+")


class NotXmpError(Exception):
    """A file is no XMP that is understood here; says why, as the end of a sentence."""


@dataclass(frozen=True, kw_only=True)
class Packet:
    """A sidecar's document."""

    mark: bytes  #: its byte order mark, or nothing
    encoding: str  #: as Python calls it
    head: str  #: what stands before the root element: declaration, `<?xpacket begin=…?>`, comments
    root: Element
    tail: str  #: what stands after it: the packet's padding, and `<?xpacket end=…?>`
    line_end: str

    def rdf(self) -> Element:
        """Return the element in which all properties are.

        Raises:
            NotXmpError: there is none, or there are several.

        """
        if self.root.tag == f"{RDF}RDF":
            return self.root
        found = self.root.findall(f"{RDF}RDF") if self.root.tag in _ROOTS else []
        if len(found) != 1:
            raise NotXmpError("it is XML, but not XMP")
        return found[0]

    def to_bytes(self) -> bytes:
        """Return the document as a file has it. Quotes and line breaks inside of tags are written as lxml has them."""
        text: str = etree.tostring(self.root, encoding="unicode", with_tail=False)
        text = text.replace("\n", self.line_end)  # a CR that is content is written as &#13;
        return self.mark + f"{self.head}{text}{self.tail}".encode(self.encoding, "xmlcharrefreplace")


def parse_packet(data: bytes) -> Packet:
    """Return the document that a file holds.

    Raises:
        NotXmpError: it is too large, not well-formed, or has a DTD, and with that maybe entities.

    """
    if len(data) > MAX_BYTES:
        raise NotXmpError(f"it has more than {MAX_BYTES // 1_000_000} MB")
    mark, encoding = _encoding(data)
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        raise NotXmpError(f"it is not in {encoding}") from None
    start = _start_of_root(text)
    end = _end_of_root(text)
    if start >= end:
        raise NotXmpError("there is no XML in it")
    inner = text[start:end]
    return Packet(
        mark=mark,
        encoding=encoding,
        head=text[:start],
        root=_parse(inner),
        tail=text[end:],
        line_end="\r\n" if "\r\n" in inner else "\n",
    )


def _encoding(data: bytes) -> tuple[bytes, str]:
    """Return the byte order mark, which may be empty, and the encoding."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return mark, encoding
    declared = _DECLARED.match(data)
    if not declared:
        return b"", "utf-8"
    name = declared[1].decode()
    try:
        encoding = codecs.lookup(name).name
    except LookupError:
        encoding = ""
    if not _ENCODINGS.fullmatch(encoding):
        raise NotXmpError(f"its encoding {name} is not known here")
    return b"", encoding


def _start_of_root(text: str) -> int:
    place = 0
    while found := _MISC.match(text, place):
        place = found.end()
    if text.startswith("<!", place):
        raise NotXmpError("it has a DTD")
    return place


def _end_of_root(text: str) -> int:
    """Return where the root element ends, looked for from the end, in one pass."""
    end = len(text)
    while True:
        while end and text[end - 1] in " \t\r\n":
            end -= 1
        opening = {"?>": "<?", "->": "<!--"}.get(text[max(0, end - 2) : end])
        begin = text.rfind(opening, 0, end) if opening else -1
        if begin < 0:
            return end
        end = begin


def _parse(text: str) -> Element:
    # Neither network, nor DTD, nor entities; no more depth and text than libxml2 allows by itself.
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_blank_text=False,
        strip_cdata=False,
    )
    try:
        return etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise NotXmpError(f"it is not well-formed ({error.msg})") from None
