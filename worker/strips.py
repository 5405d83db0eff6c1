"""Damage in a TIFF's strips and tiles that libtiff does not tell: it stops reading one as soon as its rows are full."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import simplejpeg

from worker.costs import scans_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL.TiffImagePlugin import TiffImageFile

_COMPRESSION, _JPEG_TABLES = 259, 347
#: Tags of where strips and tiles begin, and of how many bytes each has.
_PLACES = ((273, 279), (324, 325))
_DEFLATE, _JPEG = (8, 32946), (7,)
#: Bytes that are unpacked at a time, and thrown away.
_PIECE_IN, _PIECE_OUT = 1 << 16, 1 << 20
#: Scans that libtiff takes of a JPEG. Source: libtiff 4.7, tif_jpeg.c, LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER
_MOST_SCANS = 100
#: Pixels that a tile may have beyond a picture that is smaller than it: 2,048 × 2,048, larger than programs write.
_EDGE_PIXELS = 2048 * 2048
#: Of a pixel: four samples of 32 bits. Strips that unpack to more are not followed to their end.
_MOST_PIXEL_BYTES = 16


def complaint(data: bytes, picture: TiffImageFile) -> str | None:
    """Tell how many strips or tiles are damaged by their own check sums (deflate) or by libjpeg's warnings (JPEG)."""
    compression = picture.tag_v2.get(_COMPRESSION)
    if compression in _DEFLATE:
        room = _Room(picture.width * picture.height * _MOST_PIXEL_BYTES + _PIECE_OUT)
        return _counted(data, picture, lambda strip: _is_inflated(strip, room))
    if compression in _JPEG:
        tables = bytes(picture.tag_v2.get(_JPEG_TABLES, b""))[:-2]  # without its end marker
        most = picture.width * picture.height + _EDGE_PIXELS
        return _counted(data, picture, lambda strip: _is_jpeg(tables + strip[2:] if tables else strip, most))
    return None


def _counted(data: bytes, picture: TiffImageFile, is_sound: Callable[[bytes], bool]) -> str | None:
    strips = list(_strips(picture))
    damaged = sum(not is_sound(data[begin : begin + count]) for begin, count in strips)
    what = "is damaged" if damaged == 1 else "are damaged"
    return f"{damaged} of its {len(strips)} strips or tiles {what}" if damaged else None


def _strips(picture: TiffImageFile) -> Iterator[tuple[int, int]]:
    for places, counts in _PLACES:
        yield from zip(picture.tag_v2.get(places, ()), picture.tag_v2.get(counts, ()), strict=False)


class _Room:
    """Bytes that all strips of a picture together may still unpack to."""

    def __init__(self, left: int) -> None:
        self.left = left


def _is_inflated(strip: bytes, room: _Room) -> bool:
    inflating = zlib.decompressobj()
    try:
        for at in range(0, len(strip), _PIECE_IN):
            rest = strip[at : at + _PIECE_IN]
            while rest and room.left > 0 and not inflating.eof:
                room.left -= len(inflating.decompress(rest, _PIECE_OUT))
                rest = inflating.unconsumed_tail
    except zlib.error:
        return False
    return inflating.eof or room.left <= 0


def _is_jpeg(strip: bytes, most_pixels: int) -> bool:
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(strip)
        if width * height > most_pixels or scans_of(strip) > _MOST_SCANS:
            return True  # libtiff refuses it
        simplejpeg.decode_jpeg(strip, colorspace="GRAY")
    except ValueError as error:
        return "Corrupt" not in str(error) and "Premature" not in str(error)  # else libtiff is the judge
    return True
