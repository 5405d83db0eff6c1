"""Metadata is stripped from a picture's file before a decoder sees it.

Decoders raise on metadata: a broken EXIF, a profile of 100 MB, a comment that is no text. None of it changes a pixel,
but for the orientation, which is read here. So each format is parsed, and what does not change pixels is left out; what
the file's own check sums, markers and end say of damage is kept.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pictures.formats import bmp, gif, isobmff, jpeg, png, tiff, webp
from pictures.formats.stripped import StrippedFile

if TYPE_CHECKING:
    from collections.abc import Callable

#: Of each format: whether a file is of it, and what strips such a file.
_FORMATS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], StrippedFile]], ...] = tuple(
    (module.has_signature, module.strip) for module in (jpeg, png, tiff, webp, gif, bmp, isobmff)
)


def strip_metadata(data: bytes) -> StrippedFile:
    """Return a file without its metadata; one whose structure is not understood, as it is.

    Raises:
        ImageError: the file ends before the picture does.

    """
    for has_signature, strip in _FORMATS:
        if has_signature(data):
            try:
                return strip(data)
            # Cut short or damaged in its structure: a decoder says best what is wrong with it.
            except (ValueError, LookupError, struct.error):
                return StrippedFile(data, orientation=None)
    return StrippedFile(data)


__all__ = ["StrippedFile", "strip_metadata"]
