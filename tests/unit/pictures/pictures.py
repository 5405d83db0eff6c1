"""What the tests of decoding start from: pictures as the bytes of files, those that Pillow cannot write included."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pillow_heif

from pictures.decoding import decode

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from storage.records import Preprocessing

#: More pixels than any picture here has; decompression bombs have more.
MAX_PIXELS = 10_000_000

#: Every format that is read, with what makes Pillow write it at its best.
BEST: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "GIF": {},
    "BMP": {},
    "TIFF": {},
    "AVIF": {"quality": 95},
    "HEIF": {"quality": 95},
}


def encoded(picture: Image.Image, file_format: str, **options: Any) -> bytes:
    """Return the bytes of a file."""
    if file_format == "HEIF":
        pillow_heif.register_heif_opener()  # which registers the writer as well
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


def view(data: bytes, preprocessing: Preprocessing) -> NDArray[np.int16]:
    """Return the model's view of a file, in a type whose differences have a sign."""
    return decode(data, preprocessing, MAX_PIXELS).pixels.astype(np.int16)


def plain_view(values: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.int16]:
    """Return the model's view of 8-bit pixels, `[H, W]` or `[H, W, 3]`, by way of the plainest of files: a BMP."""
    from PIL import Image

    return view(encoded(Image.fromarray(values).convert("RGB"), "BMP"), preprocessing)


def farthest(one: NDArray[np.int16], other: NDArray[np.int16]) -> int:
    """Return the largest difference between two views, in 8-bit levels."""
    return int(np.abs(one - other).max())


def on_average(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    """Return the mean difference between two views, in 8-bit levels."""
    return float(np.abs(one - other).mean())


def png(values: NDArray[np.uint16], colour_type: int) -> bytes:
    """Return a PNG with 16 bits a sample, of `[H, W]` (colour type 0) or `[H, W, 3]` (2). Source: PNG 3, chapter 11."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)  # 0: not filtered
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return png_of(header, zlib.compress(rows))


def png_of(header: bytes, compressed: bytes) -> bytes:
    """Return a PNG of an IHDR's content and of zlib's output."""
    chunks = ((b"IHDR", header), (b"IDAT", compressed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def tiff(
    pixels: bytes,
    size: tuple[int, int],
    bits: int,
    *,
    sample_format: int = 1,
    photometric: int = 1,
    byte_order: str = "<",
) -> bytes:
    """Return an uncompressed grey TIFF of one strip.

    Args:
        pixels: rows, as the file holds them.
        size: width and height.
        bits: a sample.
        sample_format: 1 unsigned, 2 signed, 3 floating point.
        photometric: 0 where zero is white, 1 where zero is black.
        byte_order: `<` or `>`, of everything but the pixels.

    Source: TIFF 6.0, sections 2 and 8.

    """
    width, height = size
    short, long = 3, 4
    begin = 8 + 2 + 10 * 12 + 4
    fields = (
        (256, long, width),
        (257, long, height),
        (258, short, bits),
        (259, short, 1),  # not compressed
        (262, short, photometric),
        (273, long, begin),
        (277, short, 1),  # samples a pixel
        (278, long, height),  # rows a strip
        (279, long, len(pixels)),
        (339, short, sample_format),
    )
    entries = b"".join(
        struct.pack(byte_order + ("HHIHH" if kind == short else "HHII"), tag, kind, 1, value, *([0] * (kind == short)))
        for tag, kind, value in fields
    )
    mark = b"II*\0" if byte_order == "<" else b"MM\0*"
    directory = struct.pack(byte_order + "H", len(fields)) + entries + struct.pack(byte_order + "I", 0)
    return mark + struct.pack(byte_order + "I", 8) + directory + pixels
