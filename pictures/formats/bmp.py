"""BMP: as it is, but for a palette that claims to be larger than the pixels can name."""

from __future__ import annotations

import struct

from pictures.formats.stripped import StrippedFile

#: In the file: how long the second header is, bits of a pixel, and how many colours are used.
_HEADER_BYTES_AT, _BITS_AT, _COLOURS_AT = 14, 28, 46
#: The second header from which on it tells how many colours are used.
_LEAST_HEADER_BYTES = 40
_MOST_INDEX_BITS = 8


def has_signature(data: bytes) -> bool:
    return data.startswith(b"BM")


def strip(data: bytes) -> StrippedFile:
    """Return the file, with as many colours as there can be: viewers take no notice of more, and its decoder raises."""
    (header_bytes,) = struct.unpack_from("<I", data, _HEADER_BYTES_AT)
    if header_bytes < _LEAST_HEADER_BYTES:
        return StrippedFile(data)
    (bits,), (colours,) = struct.unpack_from("<H", data, _BITS_AT), struct.unpack_from("<I", data, _COLOURS_AT)
    if bits > _MOST_INDEX_BITS or colours <= 1 << bits:
        return StrippedFile(data)
    most = struct.pack("<I", 1 << bits)
    return StrippedFile(b"".join((data[:_COLOURS_AT], most, memoryview(data)[_COLOURS_AT + len(most) :])))
