"""TIFF and BigTIFF: the tags of the first page that say how its pixels lie and what they mean."""

from __future__ import annotations

import struct
from typing import NamedTuple

from archive.failures import FailureKind, ImageError
from pictures.formats import orientation
from pictures.formats.stripped import StrippedFile

#: TIFF 6.0; its supplements 1 and 2; Technical Note 2 (JPEG); the limits of values and GDAL's no-data value.
_KEPT = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320),
        *(322, 323, 324, 325, 332, 334, 338, 339, 340, 341, 347),
        *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532),
        *(34892, 42113, 50674),
    )
)
_ORIENTATION, _XMP = 274, 700
_INTEGERS = {1: "B", 3: "H", 4: "I"}
#: More than any page has; a broken count must not cost time.
_MOST_ENTRIES = 4096
#: Bytes of XMP that are searched for an orientation.
_MOST_XMP = 1 << 20


class _Layout(NamedTuple):
    """How a directory is written, in TIFF and in BigTIFF."""

    order: str  #: of bytes, as `struct` has it
    place: str  #: how a place in the file is written, and how many values an entry has
    entries: str  #: how many entries there are

    @property
    def entry_bytes(self) -> int:
        return 4 + 2 * struct.calcsize(self.place)


def has_signature(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def strip(data: bytes) -> StrippedFile:
    """Return the file with a directory that tells nothing but pixels, at the place of its first one.

    Raises:
        ImageError: the file ends before its directory.
        ValueError: the directory is empty, or cut short.

    """
    order = "<" if data[:2] == b"II" else ">"
    layout = _Layout(order, "Q", "Q") if b"+" in data[:4] else _Layout(order, "I", "H")
    size = struct.calcsize(layout.place)
    (at,) = struct.unpack_from(order + layout.place, data, size)
    if at >= len(data):
        raise ImageError(FailureKind.TRUNCATED, "the file ends before the directory of its pixels")
    (count,) = struct.unpack_from(order + layout.entries, data, at)
    begin = at + struct.calcsize(layout.entries)
    end = begin + layout.entry_bytes * count
    if not 0 < count <= _MOST_ENTRIES or end > len(data):
        raise ValueError("no directory")
    entries: dict[int, bytes] = {}
    for entry in range(begin, end, layout.entry_bytes):
        tag, *_ = struct.unpack_from(order + "H", data, entry)
        entries.setdefault(tag, data[entry : entry + layout.entry_bytes])
    kept = [entries[tag] for tag in sorted(entries) if tag in _KEPT]
    directory = struct.pack(order + layout.entries, len(kept)) + b"".join(kept) + bytes(size)
    view = memoryview(data)
    whole = b"".join((view[:at], directory, view[at + len(directory) :]))
    return StrippedFile(whole, _orientation(data, entries, layout))


def _orientation(data: bytes, entries: dict[int, bytes], layout: _Layout) -> int:
    at = 4 + struct.calcsize(layout.place)
    if _ORIENTATION in entries:
        entry = entries[_ORIENTATION]
        (kind,) = struct.unpack_from(layout.order + "H", entry, 2)
        (told,) = struct.unpack_from(layout.order + _INTEGERS.get(kind, "H"), entry, at)
        return told if orientation.UPRIGHT <= told <= orientation.HIGHEST else orientation.UPRIGHT
    if _XMP in entries:
        count, place = struct.unpack_from(layout.order + 2 * layout.place, entries[_XMP], 4)
        return orientation.choose((), data[place : place + min(count, _MOST_XMP)])
    return orientation.UPRIGHT
