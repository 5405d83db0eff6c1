"""JPEG: tables, frames and scans are kept; of the application's segments only what says how colours are coded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive.failures import FailureKind, ImageError
from pictures.formats import orientation
from pictures.formats.stripped import MOST_PARTS, ZERO_RUN_WARNING, StrippedFile, bounded, has_zero_run

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK, _SOI, _EOI = 0xFF, b"\xff\xd8", b"\xff\xd9"
_DHT, _DAC, _END, _SOS, _DQT, _DNL, _DRI = 0xC4, 0xCC, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD
_APP0, _APP1, _APP14, _APP15, _COM = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
#: Markers that begin a frame: all of SOF0 to SOF15 but DHT, JPG and DAC. Source: ITU-T T.81, table B.1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, _DAC}
#: The sequential ones, whose first scan is the only one if it holds all components.
_SEQUENTIAL = frozenset((0xC0, 0xC1, 0xC9))
_TABLES = frozenset((_DHT, _DAC, _DQT, _DRI))
_PROGRAMS = frozenset((*range(_APP0, _APP15 + 1), _COM))
_WITH_LENGTH = _FRAMES | _TABLES | _PROGRAMS | {_SOS, _DNL}
_PROGRESSIVE = (0xC2, 0xCA)
_BEGINS_SEGMENT = re.compile(b"\xff[" + b"".join(b"\\x%02x" % marker for marker in sorted(_WITH_LENGTH)) + b"]")
#: By a marker's second byte: whether it ends the coded data of a scan.
_ENDS_SCAN = np.isin(np.arange(256), [*_WITH_LENGTH, _END])
#: Bytes that are searched for markers at a time: behind the picture may lie 200 MB that nobody looks at.
_BLOCK_BYTES = 1 << 20
#: JFIF 1.1 without a thumbnail: it says that colours are YCbCr.
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
#: Adobe's transforms: none, YCbCr, YCCK.
_TRANSFORMS = (0, 1, 2)
#: The last zigzag position of a block's 64 coefficients.
_LAST_COEFFICIENT = 63
_XMP = b"http://ns.adobe.com/xap/1.0/\0"


class Segment(NamedTuple):
    """A marker, and what follows it."""

    marker: int
    begin: int  #: of its marker
    end: int  #: as its length tells
    coded_end: int  #: of the coded data behind it, which only a scan has


@dataclass
class _Parsed:
    """What has been parsed of a file so far."""

    kept: list[bytes | memoryview] = field(default_factory=lambda: [_SOI])
    exifs: list[bytes] = field(default_factory=list)
    xmp: bytes = b""
    frame: int = 0  #: the marker of its start of frame
    height_at: int | None = None  #: in the stripped file, of a height that a DNL segment will tell
    components: int = 0
    #: The symbol of the shortest code, by class and number of a Huffman table.
    commonest: dict[int, int] = field(default_factory=dict)
    #: By component and coefficient of a progressive picture: bits that are still to come.
    coming: dict[tuple[int, int], int] = field(default_factory=dict)
    has_zero_run: bool = False


def has_signature(data: bytes) -> bool:
    return data.startswith(b"\xff\xd8\xff")


def strip(data: bytes) -> StrippedFile:
    """Return the first picture of the file, with an end marker.

    Raises:
        LookupError: no scan begins in it.
        ValueError: it has too many segments.
        ImageError: scans of a progressive picture are missing.

    """
    parsed, view, first_scan, end, height = _Parsed(), memoryview(data), 0, 0, b""
    for segment in bounded(segments(data)):
        end = min(segment.coded_end + len(_EOI), len(data))
        first_scan = first_scan or (segment.marker == _SOS and segment.begin)
        body = data[segment.begin + 4 : segment.end]
        if not first_scan:
            _keep(segment, view, body, parsed)
        elif segment.marker == _DNL:
            height = body[:2]
        elif segment.marker == _DHT:
            _note_tables(body, parsed)
        elif segment.marker == _SOS:
            _note_scan(body, parsed)
            parsed.has_zero_run |= _has_suspicious_zero_run(data, segment.end, segment.coded_end, body, parsed)
    if not first_scan:
        raise LookupError("no scan")
    has_end = data[end - 2 : end] == _EOI
    whole = b"".join((*parsed.kept, view[first_scan:end], b"" if has_end else _EOI))
    if height and parsed.height_at:
        whole = whole[: parsed.height_at] + height + whole[parsed.height_at + len(height) :]
    if not has_end and _is_incomplete(parsed):
        raise ImageError(FailureKind.TRUNCATED, "the file ends before the last of its scans")
    warning = ZERO_RUN_WARNING if parsed.has_zero_run else None
    return StrippedFile(whole, orientation.choose(parsed.exifs, parsed.xmp), has_end=has_end, warning=warning)


def scans_of(data: bytes) -> int:
    """Count the scans of a JPEG's first picture; 1 where its first scan is all that a decoder looks at."""
    scans = 0
    components = b""
    may_have_more = True
    for segment in islice(segments(data), MOST_PARTS):
        if segment.marker in _FRAMES:
            components = data[segment.begin + 9 : segment.begin + 10]
            may_have_more = segment.marker not in _SEQUENTIAL
        elif segment.marker == _SOS:
            scans += 1
            if not may_have_more and data[segment.begin + 4 : segment.begin + 5] == components:
                return 1
            may_have_more = True
    return scans


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments of a JPEG's first picture, up to its end; whatever lies between two is passed over."""
    at = 2
    while found := _BEGINS_SEGMENT.search(data, at):
        at, marker = found.start(), data[found.start() + 1]
        end = _end(data, at)
        if marker == _SOS:
            yield from _from_first_scan(data, at)
            return
        if end > len(data) and marker in _PROGRAMS:
            at += 2  # a length of metadata is wrong: go on at the next marker
            continue
        yield Segment(marker, at, end, end)
        at = end


def _from_first_scan(data: bytes, first_scan: int) -> Iterator[Segment]:
    markers = _markers(data, first_scan)
    at: int | None = first_scan
    while at is not None and data[at + 1] != _END:
        end = _end(data, at)
        following = next((found for found in markers if found >= end), None)
        yield Segment(data[at + 1], at, end, len(data) if following is None else following)
        at = following


def _end(data: bytes, at: int) -> int:
    return at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _markers(data: bytes, begin: int) -> Iterator[int]:
    """Yield where a marker stands that ends the coded data of a scan: no stuffed zero, no restart, none unheard of."""
    for block in range(begin, len(data), _BLOCK_BYTES):
        values = np.frombuffer(data[block : block + _BLOCK_BYTES + 1], np.uint8)
        at = np.flatnonzero(values[:-1] == _MARK)
        yield from (block + at[_ENDS_SCAN[values[at + 1]]]).tolist()


def _keep(segment: Segment, view: memoryview, body: bytes, parsed: _Parsed) -> None:
    """Keep what decoding needs of the segments before the first scan."""
    marker = segment.marker
    if marker in _FRAMES:
        parsed.frame, parsed.components = marker, body[5]
        if body[1:3] == b"\0\0":
            parsed.height_at = sum(map(len, parsed.kept)) + 5
    if marker in _FRAMES or marker in _TABLES:
        parsed.kept.append(view[segment.begin : segment.end])
    _note(marker, body, parsed)


def _note(marker: int, body: bytes, parsed: _Parsed) -> None:
    if marker == _APP0 and body.startswith(b"JFIF\0") and _JFIF not in parsed.kept:
        parsed.kept.insert(1, _JFIF)
        parsed.height_at = parsed.height_at and parsed.height_at + len(_JFIF)
    elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= len("Adobe") + 7:
        known = body[11] in _TRANSFORMS
        parsed.kept.append(b"\xff\xee\0\x0e" + body[:11] + (body[11:12] if known else b"\1"))
    elif marker == _APP1 and body.startswith(b"Exif\0\0"):
        parsed.exifs.append(body)
    elif marker == _APP1 and body.startswith(_XMP):
        parsed.xmp = parsed.xmp or body
    elif marker == _DHT:
        _note_tables(body, parsed)


def _note_tables(body: bytes, parsed: _Parsed) -> None:
    at = 0
    while at + 17 <= len(body):
        symbols = sum(body[at + 1 : at + 17])
        if symbols and at + 17 < len(body):
            parsed.commonest[body[at]] = body[at + 17]
        at += 17 + symbols


def _note_scan(scan: bytes, parsed: _Parsed) -> None:
    """Keep account of the coefficients that a progressive picture has got."""
    components = scan[0]
    first, last, bits = scan[-3:]
    for component in scan[1 : 1 + 2 * components : 2]:
        for coefficient in range(first, min(last, _LAST_COEFFICIENT) + 1):
            parsed.coming[component, coefficient] = bits & 15


def _is_incomplete(parsed: _Parsed) -> bool:
    if parsed.frame not in _PROGRESSIVE:
        return False
    return len(parsed.coming) < parsed.components * (_LAST_COEFFICIENT + 1) or any(parsed.coming.values())


def _has_suspicious_zero_run(data: bytes, begin: int, end: int, scan: bytes, parsed: _Parsed) -> bool:
    """Tell whether zeros that no encoder wrote lie in a scan: they do where they would stand for many coefficients."""
    if not has_zero_run(data, begin, end):
        return False
    first, last, bits = scan[-3:]
    tables = scan[2 : 2 + 2 * scan[0] : 2]
    used = [table >> 4 for table in tables if first == 0 and not bits >> 4]
    used += [0x10 | table & 15 for table in tables if last > 0]
    # A symbol whose lower four bits are 0 is followed by no coefficient: ITU T.81, F.1.2.
    return any(parsed.commonest.get(table, 0) & 15 for table in used)
