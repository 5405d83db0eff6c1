"""PNG: the chunks of the first picture, with check sums that are worked out here, for its decoder skips them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from worker.formats import orientation
from worker.formats.bare import Bare, bounded

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


class _Chunk(NamedTuple):
    kind: bytes
    begin: int  #: of its length
    body: memoryview  #: cut short where the file ends
    is_sound: bool  #: its check sum is right


@dataclass
class _Walk:
    kept: list[bytes | memoryview] = field(default_factory=lambda: [_SIGNATURE])
    exifs: list[bytes] = field(default_factory=list)
    xmp: bytes = b""
    wrong: int = 0  #: chunks whose check sum is wrong, though they make pixels


def begins(data: bytes) -> bool:
    return data.startswith(_SIGNATURE)


def bare(data: bytes) -> Bare:
    """Return the chunks that make the default picture, and an end.

    Raises:
        ValueError: no pixels, or too many chunks.

    """
    walk, ended, has_pixels, view = _Walk(), False, False, memoryview(data)
    for chunk in bounded(_chunks(data, view)):
        ended = chunk.kind == b"IEND"
        if ended:
            break
        if chunk.kind in _KEPT:
            has_pixels |= chunk.kind == _PIXELS
            _keep(chunk, view, walk)
        else:
            _note(chunk, walk)
    if not has_pixels:
        raise ValueError("no pixels")
    complaint = f"the check sums of {walk.wrong} of its chunks are wrong" if walk.wrong else None
    whole = b"".join((*walk.kept, _END))
    return Bare(whole, orientation.chosen(walk.exifs, walk.xmp), ended=ended, complaint=complaint)


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


def _keep(chunk: _Chunk, view: memoryview, walk: _Walk) -> None:
    if not chunk.is_sound:
        walk.wrong += 1
        if chunk.kind == _TRANSPARENCY:
            return  # as libpng does
    whole = view[chunk.begin : chunk.begin + 8 + len(chunk.body) + 4]
    if len(whole) < len(chunk.body) + 12:  # the file ends in it: its decoder gets what is there
        crc = zlib.crc32(chunk.body, zlib.crc32(chunk.kind))
        whole = memoryview(struct.pack(">I4s", len(chunk.body), chunk.kind) + chunk.body + struct.pack(">I", crc))
    walk.kept.append(whole)


def _note(chunk: _Chunk, walk: _Walk) -> None:
    if not chunk.is_sound:
        return
    if chunk.kind == _EXIF:
        walk.exifs.insert(0, bytes(chunk.body))
    elif chunk.kind in _TEXTS:
        keyword, _, rest = bytes(chunk.body[:_MOST_TEXT]).partition(b"\0")
        if keyword == _RAW_EXIF:
            walk.exifs.append(_from_digits(_text(chunk.kind, rest)))
        elif keyword == _XMP:
            walk.xmp = walk.xmp or _text(chunk.kind, rest)


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
