"""WebP: RIFF's chunks that make pixels."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from archive.failures import FailureKind, ImageError
from pictures.formats import orientation
from pictures.formats.stripped import ZERO_RUN_WARNING, StrippedFile, bounded, has_zero_run

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD_BYTES = 12
_EXTENDED = b"VP8X"
_CODED = (b"VP8 ", b"VP8L", b"ALPH", b"ANMF")
_KEPT = (_EXTENDED, b"ANIM", *_CODED)
#: VP8X's flags for a profile, EXIF and XMP: https://developers.google.com/speed/webp/docs/riff_container
_METADATA_FLAGS = 0x20 | 0x08 | 0x04


class _Chunk(NamedTuple):
    kind: bytes
    length: int  #: as it tells itself
    body: bytes  #: cut short where the file ends


def has_signature(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:_HEAD_BYTES] == b"WEBP"


def strip(data: bytes) -> StrippedFile:
    """Return the chunks that make the first picture.

    Raises:
        ImageError: one of them is cut short.

    """
    kept: dict[bytes, bytes] = {}  # each kind once: of an animation, the first frame
    exifs, xmp, warning = [], b"", None
    for chunk in bounded(_chunks(data)):
        if chunk.kind in _KEPT and chunk.kind not in kept:
            if len(chunk.body) < chunk.length:
                raise ImageError(FailureKind.TRUNCATED, "the file ends before the picture does")
            if chunk.kind in _CODED and has_zero_run(chunk.body, 0, chunk.length):
                warning = ZERO_RUN_WARNING
            kept[chunk.kind] = chunk.body
        elif chunk.kind == b"EXIF":
            exifs.append(chunk.body)
        elif chunk.kind == b"XMP ":
            xmp = chunk.body
    if flags := kept.get(_EXTENDED):
        kept[_EXTENDED] = bytes([flags[0] & ~_METADATA_FLAGS]) + flags[1:]
    chunks = b"".join(kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2) for kind, body in kept.items())
    whole = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks
    return StrippedFile(whole, orientation.choose(exifs, xmp), warning=warning)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    at = _HEAD_BYTES
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield _Chunk(kind, length, data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
