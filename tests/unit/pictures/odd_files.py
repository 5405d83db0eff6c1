"""Files with something beside their pixels, or with pixels in a form that Pillow does not write."""

from __future__ import annotations

import ctypes
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, _imaging

from tests.unit.pictures.pictures import BEST, encoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg_with(jpeg: bytes, marker: int, body: bytes) -> bytes:
    """Return the JPEG with one more segment in front."""
    return jpeg[:2] + segment(marker, body) + jpeg[2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(png: bytes, kind: bytes, body: bytes) -> bytes:
    """Return the PNG with one more chunk behind its header."""
    return png[:33] + chunk(kind, body) + png[33:]


def webp_with(webp: bytes, kind: bytes, body: bytes, size: tuple[int, int]) -> bytes:
    """Return a simple WebP as an extended one, with one more chunk."""
    flags = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}[kind]
    width, height = ((side - 1).to_bytes(3, "little") for side in size)
    more = kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    extended = b"VP8X" + struct.pack("<I", 10) + bytes([flags, 0, 0, 0]) + width + height
    parts = (extended, more, webp[12:]) if kind == b"ICCP" else (extended, webp[12:], more)
    whole = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


def gif_with(gif: bytes, label: int, body: bytes) -> bytes:
    """Return a GIF with one more extension in front of its picture."""
    at = gif.index(b"\x2c", 13 + (3 << ((gif[10] & 7) + 1)) * (gif[10] >> 7))
    blocks = b"".join(
        bytes([len(part)]) + part for part in (body[begin : begin + 255] for begin in range(0, len(body), 255))
    )
    return gif[:at] + bytes([0x21, label]) + blocks + b"\0" + gif[at:]


def tiff_with(tiff: bytes, tag: int, kind: int, count: int, value: bytes) -> bytes:
    """Return a little-endian TIFF with one more tag: four bytes of it, as they stand."""
    (at,) = struct.unpack_from("<I", tiff, 4)
    (entries,) = struct.unpack_from("<H", tiff, at)
    own = {_tag(entry): entry for n in range(entries) if (entry := tiff[at + 2 + 12 * n : at + 14 + 12 * n])}
    own[tag] = struct.pack("<HHI", tag, kind, count) + value
    directory = struct.pack("<H", len(own)) + b"".join(own[one] for one in sorted(own))
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + directory + bytes(4)


def _tag(entry: bytes) -> int:
    return int.from_bytes(entry[:2], "little")


def with_exif(picture: Image.Image, file_format: str, block: bytes) -> bytes:
    """Return a file whose EXIF is this block, whatever it is."""
    data = encoded(picture, file_format, **BEST[file_format])
    if file_format == "JPEG":
        return jpeg_with(data, 0xE1, b"Exif\0\0" + block)
    if file_format == "PNG":
        return png_with(data, b"eXIf", block)
    if file_format == "WEBP":
        return webp_with(data, b"EXIF", block, picture.size)
    # The others' writers read the block themselves: so one is overwritten that they take.
    exif = Image.Exif()
    exif[0x010E] = "overwritten " * 8
    written = exif.tobytes().removeprefix(b"Exif\0\0")
    data = encoded(picture, file_format, exif=written, **BEST[file_format])
    at = data.index(written)
    block = block[: len(written)]
    return data[:at] + block + bytes(len(written) - len(block)) + data[at + len(written) :]


def boxes(data: bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, begin and end of each box of ISO base media, its head included."""
    while begin < end:
        length = int.from_bytes(data[begin : begin + 4], "big")
        yield data[begin + 4 : begin + 8], begin, begin + length
        begin += length


def turned(data: bytes, properties: tuple[bytes, ...]) -> bytes:
    """Return a HEIC or AVIF whose one picture has these properties besides: `irot` and `imir` boxes, in this order."""
    meta_at = data.index(b"meta") - 4
    meta_end = meta_at + int.from_bytes(data[meta_at : meta_at + 4], "big")
    places = {kind: (begin, end) for kind, begin, end in boxes(data, meta_at + 12, meta_end)}
    begin, end = places[b"iprp"]
    inner = {kind: (one, other) for kind, one, other in boxes(data, begin + 8, end)}
    (ipco, ipco_end), (ipma, ipma_end) = inner[b"ipco"], inner[b"ipma"]
    known = sum(1 for _ in boxes(data, ipco + 8, ipco_end))
    new_ipco = data[ipco + 8 : ipco_end] + b"".join(properties)
    head = data[ipma + 8 : ipma + 18]  # version, flags, the number of entries (one), the item, and next its properties
    own = data[ipma + 19 : ipma_end] + bytes(0x80 | known + 1 + n for n in range(len(properties)))
    new_ipma = head + bytes([len(own)]) + own
    new_iprp = box(b"iprp", box(b"ipco", new_ipco) + box(b"ipma", new_ipma))
    grown = len(new_iprp) - (end - begin)
    new_meta = data[meta_at + 8 : begin] + new_iprp + data[end:meta_end]
    whole = data[:meta_at] + box(b"meta", new_meta) + data[meta_end:]
    return _moved(whole, grown)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def _moved(data: bytes, by: int) -> bytes:
    """Return the file with the places of its items moved: each is of one extent, with offsets of 4 bytes."""
    at = data.index(b"iloc") + 4
    version, sizes, more_sizes = data[at], data[at + 4], data[at + 5]
    assert (sizes, more_sizes & 0xF0) in ((0x44, 0), (0x44, 0x40))
    whole = bytearray(data)
    (items,) = struct.unpack_from(">H", data, at + 6)
    place = at + 8
    for _ in range(items):
        place += 2 + (2 if version else 0) + 2 + (more_sizes >> 4)
        assert data[place : place + 2] == b"\0\1"
        (offset,) = struct.unpack_from(">I", data, place + 2)
        struct.pack_into(">I", whole, place + 2, offset + by)
        place += 10
    return bytes(whole)


#: Where libjpeg 6.2's interface has what Pillow does not set: `jpeg_compress_struct` of 64-bit machines.
_STRUCT_BYTES, _PRECISION_AT, _ARITHMETIC_AT = 520, 72, 260
#: libjpeg's numbers of colour spaces, by how many samples a pixel has.
_SPACES, _YCCK = {1: 1, 3: 2, 4: 4}, 5


def jpeg_of(
    values: NDArray[np.uint8] | NDArray[np.int16],
    *,
    precision: int = 8,
    arithmetic: bool = False,
    progressive: bool = False,
    lossless: bool = False,
) -> bytes:
    """Return a JPEG as libjpeg-turbo writes it, in ways that Pillow does not ask for.

    Args:
        values: `[H, W]` grey, `[H, W, 3]` RGB, or `[H, W, 4]` CMYK, which is written as YCCK.
        precision: bits a sample, 8 or 12.
        arithmetic: instead of Huffman's coding.
        progressive: in several scans.
        lossless: SOF3.

    """
    library = ctypes.CDLL(_imaging.__file__)
    height, width = values.shape[:2]
    components = 1 if values.ndim == 2 else values.shape[2]
    state, errors = ctypes.create_string_buffer(_STRUCT_BYTES), ctypes.create_string_buffer(1024)
    library.jpeg_std_error.restype = ctypes.c_void_p
    struct.pack_into("P", state, 0, library.jpeg_std_error(errors))
    library.jpeg_CreateCompress(state, 62, ctypes.c_size_t(_STRUCT_BYTES))
    written, size = ctypes.c_void_p(), ctypes.c_ulong()
    library.jpeg_mem_dest(state, ctypes.byref(written), ctypes.byref(size))
    struct.pack_into("IIII", state, 48, width, height, components, _SPACES[components])
    library.jpeg_set_defaults(state)
    if components == 4:
        library.jpeg_set_colorspace(state, _YCCK)
    struct.pack_into("I", state, _PRECISION_AT, precision)
    library.jpeg_set_quality(state, 95, 1)
    struct.pack_into("I", state, _ARITHMETIC_AT, arithmetic)
    if progressive:
        library.jpeg_simple_progression(state)
    if lossless:
        library.jpeg_enable_lossless(state, 1, 0)
    library.jpeg_start_compress(state, 1)
    write = library.jpeg12_write_scanlines if precision == 12 else library.jpeg_write_scanlines
    for row in np.ascontiguousarray(values):
        write(state, (ctypes.c_void_p * 1)(row.ctypes.data), 1)
    library.jpeg_finish_compress(state)
    data = ctypes.string_at(written, size.value)
    library.jpeg_destroy_compress(state)
    return data
