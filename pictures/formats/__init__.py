"""What lies in a picture's file beside its pixels, taken out before a decoder sees it.

Decoders raise on metadata: a broken EXIF, a profile of 100 MB, a comment that is no text. None of it changes a pixel,
but for the orientation, which is read here. So each format is walked, and what does not change pixels is left out; what
the file's own check sums, markers and end say of damage is kept.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pictures.formats import bmp, gif, isobmff, jpeg, png, tiff, webp
from pictures.formats.bare import Bare

if TYPE_CHECKING:
    from collections.abc import Callable

#: Of each format: whether a file is of it, and what makes its pixels.
_WALKERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Bare]], ...] = tuple(
    (module.begins, module.bare) for module in (jpeg, png, tiff, webp, gif, bmp, isobmff)
)


def bare(data: bytes) -> Bare:
    """Return a file without what does not change its pixels; one whose structure is not understood, as it is.

    Raises:
        ImageError: the file ends before the picture does.

    """
    for begins, walk in _WALKERS:
        if begins(data):
            try:
                return walk(data)
            # Cut short or damaged in its structure: a decoder says best what is wrong with it.
            except (ValueError, LookupError, struct.error):
                return Bare(data, orientation=None)
    return Bare(data)


__all__ = ["Bare", "bare"]
