"""What lies in a picture's file beside its pixels, taken out before a decoder sees it.

Decoders raise on metadata: a broken EXIF, a profile of 100 MB, a comment that is no text. None of it changes a pixel,
but for the orientation, which is read here. So each format is walked, and what does not change pixels is left out; what
the file's own check sums, markers and end say of damage is kept.
"""

from __future__ import annotations

import struct

from worker.formats import gif, isobmff, jpeg, png, tiff, webp
from worker.formats.bare import Bare

_WALKERS = (jpeg, png, tiff, webp, gif, isobmff)


def bare(data: bytes) -> Bare:
    """Return a file without what does not change its pixels; one whose structure is not understood, as it is."""
    for walker in _WALKERS:
        if walker.begins(data):
            try:
                return walker.bare(data)
            # Cut short or damaged in its structure: a decoder says best what is wrong with it.
            except (ValueError, LookupError, struct.error):
                break
    return Bare(data)


__all__ = ["Bare", "bare"]
