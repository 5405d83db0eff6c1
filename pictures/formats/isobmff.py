"""HEIC and AVIF: boxes of ISO base media. Items that hold metadata get a type that no decoder asks for.

How the picture is turned stands in its properties (`irot`, `imir`), which their decoders heed; EXIF's orientation
beside them counts for nothing: ISO/IEC 23000-22 (MIAF), 7.3.10.
"""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from pictures.formats.stripped import ZERO_RUN_WARNING, StrippedFile, bounded, has_zero_run

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Types of items that are coded pixels, with symbols of a fraction of a bit: they hold no long run of zeros.
_CODED = (b"hvc1", b"hev1", b"av01")
#: EXIF, XMP and what else is a file of another kind.
_METADATA = (b"Exif", b"mime", b"uri ")
#: A box's type for room that is not used: as an item's, nobody's.
_NOBODYS = b"free"
#: Bytes that stand before the boxes in a box with version and flags, and before the entries of `iinf`, by its version.
_FULL_BOX_BYTES, _COUNT_BYTES = 4, {0: 2}
#: Bytes of an item's number in `infe`, by its version; older ones have no types.
_ITEM_BYTES = {2: 2, 3: 4}
#: Brands by which decoders know a file, and those of them that say how a still picture is coded.
_KNOWN_BRANDS = (
    *(b"avif", b"avis", b"mif1", b"msf1"),
    *(b"hei" + end for end in (b"c", b"x", b"m", b"s")),
    b"hevc",
    b"hevx",
)
_STILL_BRANDS = (b"avif", b"heic", b"heix", b"heim", b"heis")
_MAJOR_BRAND, _OTHER_BRANDS_AT = slice(8, 12), 16
#: A property that tells a size: ISO/IEC 23008-12, 6.5.3.
_SIZE = re.compile(rb"ispe\0\0\0\0(?=.{8})", re.DOTALL)


def has_signature(data: bytes) -> bool:
    return data[4:8] == b"ftyp"


def strip(data: bytes) -> StrippedFile:
    """Return the file with nothing moved; its decoder tells how the picture is turned."""
    whole, coded, warning = bytearray(data), set[int](), None
    whole[_MAJOR_BRAND] = _brand(data)
    for kind, begin, end in _inside_meta(data):
        if kind == b"iinf":
            coded = _hide(whole, data, begin, end)
        elif kind == b"iloc" and any(has_zero_run(data, *extent) for extent in _extents(data, begin, coded)):
            warning = ZERO_RUN_WARNING
    return StrippedFile(bytes(whole), orientation=None, warning=warning)


def _brand(data: bytes) -> bytes:
    """Return the first brand; in the place of one that no decoder knows, the one that it says it may be read as."""
    first = data[_MAJOR_BRAND]
    end = min(int.from_bytes(data[:4], "big"), len(data))
    others = (data[at : at + 4] for at in range(_OTHER_BRANDS_AT, end, 4))
    return first if first in _KNOWN_BRANDS else next((other for other in others if other in _STILL_BRANDS), first)


def sizes_in(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the sizes that the items of a file declare, however broken what lies around them is."""
    with suppress(ValueError):  # too many boxes: left to its decoder
        for begin, end in _metas(data):
            for found in _SIZE.finditer(data, begin, end):
                yield struct.unpack_from(">II", data, found.end())


def _inside_meta(data: bytes) -> list[tuple[bytes, int, int]]:
    """Return what lies in the box that describes the items, their list first."""
    boxes = [box for begin, end in _metas(data) for box in bounded(_boxes(data, begin + _FULL_BOX_BYTES, end))]
    return sorted(boxes, key=lambda box: box[0] != b"iinf")


def _metas(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the content of each box that describes items."""
    return ((begin, end) for kind, begin, end in bounded(_boxes(data, 0, len(data))) if kind == b"meta")


def _hide(whole: bytearray, data: bytes, begin: int, end: int) -> set[int]:
    """Give the items that hold metadata a type that nobody knows; return the numbers of those that hold pixels."""
    coded = set()
    entries = begin + _FULL_BOX_BYTES + _COUNT_BYTES.get(data[begin], 4)
    for kind, at, _ in _boxes(data, entries, end):
        if kind != b"infe" or data[at] not in _ITEM_BYTES:
            continue
        number_at = at + _FULL_BOX_BYTES
        kind_at = number_at + _ITEM_BYTES[data[at]] + 2
        if data[kind_at : kind_at + 4] in _METADATA:
            whole[kind_at : kind_at + 4] = _NOBODYS
        elif data[kind_at : kind_at + 4] in _CODED:
            coded.add(int.from_bytes(data[number_at : kind_at - 2], "big"))
    return coded


def _extents(data: bytes, begin: int, items: set[int]) -> Iterator[tuple[int, int]]:
    """Yield begin and end in the file of what these items hold. Source: ISO/IEC 14496-12, 8.11.3."""
    version, numbers = data[begin], _Numbers(data, begin + _FULL_BOX_BYTES)
    sizes, more_sizes = numbers.read(1), numbers.read(1)
    wide = 4 if version > 1 else 2
    for _ in range(numbers.read(wide)):
        item = numbers.read(wide)
        method = numbers.read(2) & 15 if version else 0
        numbers.read(2)  # which file
        base = numbers.read(more_sizes >> 4)
        for _ in range(numbers.read(2)):
            numbers.read(more_sizes & 15 if version else 0)  # an index, of no use here
            place, length = base + numbers.read(sizes >> 4), numbers.read(sizes & 15)
            if item in items and not method:
                yield place, place + length


class _Numbers:
    """Big-endian numbers, one behind the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def read(self, size: int) -> int:
        if self._at + size > len(self._data):
            raise ValueError("the file ends here")
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "big")


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, begin of the content and end of each box."""
    while at + 8 <= end:
        length, head = int.from_bytes(data[at : at + 4], "big"), 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        length = length or end - at  # 0: to the end
        if length < head:
            return
        yield data[at + 4 : at + 8], at + head, min(at + length, end)
        at += length
