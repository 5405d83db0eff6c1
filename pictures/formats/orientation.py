"""The one thing of a picture's metadata that changes how it is seen: which side is up."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TAG = 0x0112
UPRIGHT, HIGHEST = 1, 8
#: Numbers as TIFF 6.0 has them: BYTE, SHORT and LONG.
_INTEGERS = {1: "B", 3: "H", 4: "I"}
_ENTRY_BYTES = 12
#: More than any camera writes; a broken count must not cost time.
_MOST_ENTRIES = 4096
#: As Pillow finds it, as an attribute or as an element.
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_PREFIX = b"Exif\0\0"


def choose(exifs: Iterable[bytes], xmp: bytes = b"") -> int:
    """Return the orientation that a viewer heeds: the first that an EXIF block tells, else XMP's, else upright."""
    for exif in exifs:
        told = from_exif(exif)
        if told is not None:
            return told if UPRIGHT <= told <= HIGHEST else UPRIGHT
    found = _IN_XMP.search(xmp)
    told = int(found[1]) if found else UPRIGHT
    return told if UPRIGHT <= told <= HIGHEST else UPRIGHT


def from_exif(exif: bytes) -> int | None:
    """Return what the block tells, however much of the rest of it is broken; None: nothing."""
    block = exif.removeprefix(_PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return None
    with suppress(struct.error):  # the block ends here
        (at,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, at)
        for entry in range(at + 2, at + 2 + _ENTRY_BYTES * min(count, _MOST_ENTRIES), _ENTRY_BYTES):
            tag, kind, _ = struct.unpack_from(order + "HHI", block, entry)
            if tag == _TAG and kind in _INTEGERS:
                (told,) = struct.unpack_from(order + _INTEGERS[kind], block, entry + 8)
                return int(told)
    return None
