"""A small picture of what a model sees of an image."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

from pictures.decoding import decode

if TYPE_CHECKING:
    from storage.records import Preprocessing

#: Pixels of a thumbnail's longer side.
THUMBNAIL_PIXELS = 160
_JPEG_QUALITY = 80


def thumbnail(data: bytes, preprocessing: Preprocessing, max_pixels: int, *, side: int = THUMBNAIL_PIXELS) -> bytes:
    """Return a JPEG of the model's view of an image: upright, cropped to the centre, on white, without metadata.

    Args:
        data: the image file's bytes, of any format that is read.
        preprocessing: the model's; its crop is what is shown.
        max_pixels: of the image, at most.
        side: pixels of each side of the thumbnail, at most; a smaller crop is not enlarged.

    Raises:
        ImageError: no image, truncated, damaged, or with more than `max_pixels`.

    """
    picture = Image.fromarray(decode(data, preprocessing, max_pixels).pixels)
    picture.thumbnail((side, side))
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=_JPEG_QUALITY)
    return jpeg.getvalue()
