"""PNG: the chunks of the first picture, with check sums that are worked out here, for its decoder skips them."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from archive.failures import FailureKind, ImageError
from pictures.formats import orientation
from pictures.formats.stripped import StrippedFile, bounded

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
_HEADER, _PALETTE, _TRANSPARENCY, _PIXELS = b"IHDR", b"PLTE", b"tRNS", b"IDAT"
_KEPT = (_HEADER, _PALETTE, _TRANSPARENCY, _PIXELS)
_EXIF, _TEXTS = b"eXIf", (b"tEXt", b"zTXt", b"iTXt")
#: What ImageMagick calls EXIF in a text: a line feed, "exif", the length, then hexadecimal digits in lines.
_RAW_EXIF, _XMP = b"Raw profile type exif", b"XML:com.adobe.xmp"
#: Bytes of a text that are looked at: EXIF fits into a JPEG's segment of 64 KiB, as hexadecimal digits into twice that.
_MOST_TEXT = 1 << 18
#: Colour types, and how many samples a pixel of each has. Source: PNG 3, 11.2.1
_GREY, _COLOURS, _INDEXED = 0, 2, 3
_SAMPLES = {_GREY: 1, _COLOURS: 3, _INDEXED: 1, 4: 2, 6: 4}
#: Bytes of the one grey or colour that is transparent.
_TRANSPARENCY_BYTES = {_GREY: 2, _COLOURS: 6}
#: Of each pass: where its pixels begin, and how far they lie from each other. Source: PNG 3, 8.1
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
#: What stands before the packed rows, and behind them: zlib's header, and its check sum.
_ZLIB_HEAD_BYTES, _ZLIB_SUM_BYTES = 2, 4
#: Bytes that are unpacked at a time, and thrown away.
_PIECE_IN, _PIECE_OUT = 1 << 16, 1 << 20


class _Header(NamedTuple):
    """What the first chunk tells."""

    width: int
    height: int
    bits: int  #: of a sample
    colour: int
    compression: int
    filters: int
    interlaced: int


class _Chunk(NamedTuple):
    kind: bytes
    begin: int  #: of its length
    body: memoryview  #: cut short where the file ends
    is_sound: bool  #: its check sum is right


@dataclass
class _Parsed:
    kept: list[bytes | memoryview] = field(default_factory=lambda: [_SIGNATURE])
    exifs: list[bytes] = field(default_factory=list)
    xmp: bytes = b""
    header: _Header | None = None
    has_palette: bool = False
    wrong: int = 0  #: chunks whose check sum is wrong, though they make pixels


def has_signature(data: bytes) -> bool:
    return data.startswith(_SIGNATURE)


def strip(data: bytes) -> StrippedFile:
    """Return the chunks that make the default picture, and an end.

    Raises:
        ImageError: its palette is missing; its decoder would make one up.
        ValueError: no pixels, or too many chunks.

    """
    parsed, has_end, has_pixels, view = _Parsed(), False, False, memoryview(data)
    for chunk in bounded(_chunks(data, view)):
        has_end = chunk.kind == b"IEND"
        if has_end:
            break
        if chunk.kind in _KEPT:
            has_pixels |= chunk.kind == _PIXELS
            _keep(chunk, view, parsed)
        else:
            _note(chunk, parsed)
    if not has_pixels:
        raise ValueError("no pixels")
    if parsed.header and parsed.header.colour == _INDEXED and not parsed.has_palette:
        raise ImageError(FailureKind.DAMAGED, "its palette is missing")
    warning = f"wrong checksums in {parsed.wrong} of its chunks" if parsed.wrong else None
    whole = b"".join((*parsed.kept, _END))
    return StrippedFile(whole, orientation.choose(parsed.exifs, parsed.xmp), has_end=has_end, warning=warning)


def _chunks(data: bytes, view: memoryview) -> Iterator[_Chunk]:
    at, pixels_follow = len(_SIGNATURE), True
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if pixels_follow and kind != _PIXELS and (end + 4 > len(data) or not kind.isalpha()):
            at = data.index(_PIXELS, at + 4) - 4  # a length of metadata is wrong: go on at the pixels
            continue
        pixels_follow &= kind != _PIXELS
        body = view[at + 8 : end]
        check_sum = data[end : end + 4]
        is_sound = len(check_sum) < len(kind) or zlib.crc32(body, zlib.crc32(kind)) == int.from_bytes(check_sum, "big")
        yield _Chunk(kind, at, body, is_sound)
        at = end + 4


def _keep(chunk: _Chunk, view: memoryview, parsed: _Parsed) -> None:
    if not chunk.is_sound:
        parsed.wrong += 1
        if chunk.kind == _TRANSPARENCY:
            return  # as libpng does
    if chunk.kind == _HEADER:
        parsed.header = parsed.header or _Header._make(struct.unpack_from(">IIBBBBB", chunk.body))
    parsed.has_palette |= chunk.kind == _PALETTE
    if chunk.kind == _TRANSPARENCY and parsed.header:
        parsed.kept.append(_transparency(bytes(chunk.body), parsed.header))
        return
    whole = view[chunk.begin : chunk.begin + 8 + len(chunk.body) + 4]
    if len(whole) < len(chunk.body) + 12:  # the file ends in it: its decoder gets what is there
        whole = memoryview(_chunk(chunk.kind, chunk.body))
    parsed.kept.append(whole)


def _chunk(kind: bytes, body: bytes | memoryview) -> bytes:
    crc = zlib.crc32(body, zlib.crc32(kind))
    return b"".join((struct.pack(">I4s", len(body), kind), body, struct.pack(">I", crc)))


def _transparency(body: bytes, header: _Header) -> bytes:
    """Return the chunk as its decoder should have it; nothing, where it says nothing that a viewer heeds.

    Greys of 2 and 4 bits are spread to 8 by the decoder, which forgets to spread the one that is transparent.
    """
    if header.colour == _INDEXED:
        return _chunk(_TRANSPARENCY, body)
    needed = _TRANSPARENCY_BYTES.get(header.colour)
    if needed is None or len(body) < needed:
        return b""
    if header.colour == _GREY and header.bits in (2, 4):
        highest = (1 << header.bits) - 1
        (grey,) = struct.unpack_from(">H", body)
        body = struct.pack(">H", (grey & highest) * 255 // highest)
    return _chunk(_TRANSPARENCY, body)


def share_of_rows(data: bytes) -> float:
    """Return for which share of its rows there are bytes in a stripped file, whatever zlib's check sum says of them."""
    header = _Header._make(struct.unpack_from(">IIBBBBB", data, len(_SIGNATURE) + 8))
    expected, there, packed = _bytes_of_rows(header), 0, _packed(data)
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    with suppress(zlib.error):
        for at in range(_ZLIB_HEAD_BYTES, len(packed), _PIECE_IN):
            rest = packed[at : at + _PIECE_IN]
            while rest and there < expected and not inflating.eof:
                there += len(inflating.decompress(rest, _PIECE_OUT))
                rest = inflating.unconsumed_tail
        if there < expected:
            there += len(inflating.flush())
    return min(1.0, there / expected)


def without_check_sum(data: bytes) -> bytes:
    """Return a stripped file without the check sum that zlib puts behind the rows."""
    parts = (_chunk(chunk.kind, chunk.body) for chunk in _chunks(data, memoryview(data)) if chunk.kind in _KEPT[:-1])
    return b"".join((_SIGNATURE, *parts, _chunk(_PIXELS, _packed(data)[:-_ZLIB_SUM_BYTES]), _END))


def _packed(data: bytes) -> bytes:
    return b"".join(chunk.body for chunk in _chunks(data, memoryview(data)) if chunk.kind == _PIXELS)


def _bytes_of_rows(header: _Header) -> int:
    """Return how many bytes the rows have, each with the number of its filter."""
    bits = header.bits * _SAMPLES[header.colour]
    total = 0
    for left, top, right, down in _ADAM7 if header.interlaced else ((0, 0, 1, 1),):
        wide, high = -(-(header.width - left) // right), -(-(header.height - top) // down)
        total += max(0, high) * (1 + (wide * bits + 7) // 8) if wide > 0 else 0
    return total


def _note(chunk: _Chunk, parsed: _Parsed) -> None:
    if not chunk.is_sound:
        return
    if chunk.kind == _EXIF:
        parsed.exifs.insert(0, bytes(chunk.body))
    elif chunk.kind in _TEXTS:
        keyword, _, rest = bytes(chunk.body[:_MOST_TEXT]).partition(b"\0")
        if keyword == _RAW_EXIF:
            parsed.exifs.append(_from_digits(_text(chunk.kind, rest)))
        elif keyword == _XMP:
            parsed.xmp = parsed.xmp or _text(chunk.kind, rest)


def _text(kind: bytes, rest: bytes) -> bytes:
    """Return the beginning of a text, unpacked within bounds; nothing, where it cannot be."""
    packed = kind == b"zTXt"
    rest = rest[1:] if packed else rest
    if kind == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = b"".join(rest[2:].split(b"\0", 2)[2:])
    try:
        return zlib.decompressobj().decompress(rest, _MOST_TEXT) if packed else rest
    except zlib.error:
        return b""


def _from_digits(text: bytes) -> bytes:
    digits = b"".join(text.split(b"\n")[3:])
    try:
        return bytes.fromhex(digits[: len(digits) & ~1].decode("ascii"))
    except ValueError:
        return b""
