"""GIF: the first picture, and what says how it is laid on the screen."""

from __future__ import annotations

from pictures.formats.stripped import StrippedFile

_SCREEN_BYTES = 13
_PICTURE_BYTES = 10
_EXTENSION, _PICTURE, _TRAILER = 0x21, 0x2C, b";"
_GRAPHIC_CONTROL = 0xF9
_HAS_TABLE = 0x80


def has_signature(data: bytes) -> bool:
    return data[:6] in (b"GIF87a", b"GIF89a")


def strip(data: bytes) -> StrippedFile:
    """Return the file up to the end of its first picture, without comments and what programs put.

    Raises:
        LookupError: no picture in it.

    """
    at = _SCREEN_BYTES + _table_bytes(data[10])
    kept = [data[:at]]
    while data[at] != _PICTURE:
        if data[at] != _EXTENSION:
            at += 1  # between two blocks; decoders pass it over
            continue
        end = _end_of_blocks(data, at + 2)
        if data[at + 1] == _GRAPHIC_CONTROL:
            kept[1:] = [data[at:end]]  # the last one before a picture counts
        at = end
    pixels_at = at + _PICTURE_BYTES + _table_bytes(data[at + 9]) + 1
    end = _end_of_blocks(data, pixels_at)
    kept.append(data[at:end])
    has_end = data[end - 1 : end] == b"\0"
    return StrippedFile(b"".join((*kept, b"" if has_end else b"\0", _TRAILER)), has_end=has_end)


def _table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & _HAS_TABLE else 0


def _end_of_blocks(data: bytes, at: int) -> int:
    """Return where a chain of blocks ends, behind its empty one; the file's end, if there is none."""
    while at < len(data):
        length = data[at]
        at += 1 + length
        if not length:
            return at
    return len(data)
