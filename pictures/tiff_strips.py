"""Damage in a TIFF's strips and tiles that libtiff does not tell: it stops reading one as soon as its rows are full."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import simplejpeg

from pictures.formats.jpeg import scans_of
from pictures.png_rows import check_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL.TiffImagePlugin import TiffImageFile

_COMPRESSION, _JPEG_TABLES = 259, 347
#: Tags of where strips and tiles begin, and of how many bytes each has.
_PLACES = ((273, 279), (324, 325))
_PLAIN, _DEFLATE, _JPEG = 1, (8, 32946), (7,)
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH, _PLANES = 278, 322, 323, 284
#: Samples of one kind together, each in strips of its own.
_SEPARATE = 2
#: Bytes that are unpacked at a time, and thrown away.
_PIECE_IN, _PIECE_OUT = 1 << 16, 1 << 20
#: Scans that libtiff takes of a JPEG. Source: libtiff 4.7, tif_jpeg.c, LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER
_MOST_SCANS = 100
#: Pixels that a tile may have beyond a picture that is smaller than it: 2,048 × 2,048, larger than programs write.
_EDGE_PIXELS = 2048 * 2048
#: Of a pixel: four samples of 32 bits. Strips that unpack to more are not followed to their end.
_MOST_PIXEL_BYTES = 16


def find_damage(data: bytes, picture: TiffImageFile) -> str | None:
    """Tell how many strips or tiles are damaged by their own check sums (deflate) or by libjpeg's warnings (JPEG).

    Raises:
        ImageError: more than a tenth of the rows are missing, in place of which the decoder gives black ones.

    """
    compression = picture.tag_v2.get(_COMPRESSION, _PLAIN)
    if compression == _PLAIN:
        return check_rows(_share_there(picture))
    if compression in _DEFLATE:
        room = _ByteBudget(picture.width * picture.height * _MOST_PIXEL_BYTES + _PIECE_OUT)
        return _counted(data, picture, lambda strip: _is_inflated(strip, room))
    if compression in _JPEG:
        tables = bytes(picture.tag_v2.get(_JPEG_TABLES, b""))[:-2]  # without its end marker
        most = picture.width * picture.height + _EDGE_PIXELS
        damaged = _counted(data, picture, lambda strip: _is_jpeg(tables + strip[2:] if tables else strip, most))
        return check_rows(_share_in_jpegs(data, picture)) or damaged
    return None


def _counted(data: bytes, picture: TiffImageFile, is_sound: Callable[[bytes], bool]) -> str | None:
    strips = list(_strips(picture))
    damaged = sum(not is_sound(data[begin : begin + count]) for begin, count in strips)
    what = "is damaged" if damaged == 1 else "are damaged"
    return f"{damaged} of its {len(strips)} strips or tiles {what}" if damaged else None


def _share_there(picture: TiffImageFile) -> float:
    """Return how many of the strips or tiles that a page needs lie somewhere; 0 is nowhere."""
    tags = picture.tag_v2
    width, height = picture.size
    (strips, _), (tiles, _) = _PLACES
    if strips in tags:
        places, wide, high = tags[strips], width, int(tags.get(_ROWS_PER_STRIP) or height)
    else:
        places, wide, high = tags[tiles], int(tags[_TILE_WIDTH]), int(tags[_TILE_LENGTH])
    planes = len(picture.getbands()) if tags.get(_PLANES) == _SEPARATE else 1
    needed: int = planes * -(-width // wide) * -(-height // high)
    there = sum(1 for place in places if place > 0)
    return min(1.0, there / needed)


def _share_in_jpegs(data: bytes, picture: TiffImageFile) -> float:
    """Return which share of the rows the JPEGs of a page's strips have; tiles are all of one size, or refused."""
    (strips, counts), _ = _PLACES
    tags, height = picture.tag_v2, picture.height
    per_strip = min(height, int(tags.get(_ROWS_PER_STRIP) or height))
    tops = range(0, height, per_strip)
    there = needed = 0
    for number, (begin, count) in enumerate(zip(tags.get(strips, ()), tags.get(counts, ()), strict=False)):
        rows = min(per_strip, height - tops[number % len(tops)])
        needed += rows
        there += min(rows, _rows_of(data[begin : begin + count], rows))
    return there / needed if needed else 1.0


def _rows_of(jpeg: bytes, otherwise: int) -> int:
    try:
        return int(simplejpeg.decode_jpeg_header(jpeg)[0])
    except ValueError:  # libtiff is the judge
        return otherwise


def _strips(picture: TiffImageFile) -> Iterator[tuple[int, int]]:
    for places, counts in _PLACES:
        yield from zip(picture.tag_v2.get(places, ()), picture.tag_v2.get(counts, ()), strict=False)


class _ByteBudget:
    """Bytes that all strips of a picture together may still unpack to."""

    def __init__(self, left: int) -> None:
        self.left = left


def _is_inflated(strip: bytes, room: _ByteBudget) -> bool:
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
