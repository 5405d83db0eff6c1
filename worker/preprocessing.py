"""torchvision's resize and centre crop, in one step that gives the same pixels for less work.

torchvision resizes the short side to `resize_size` and the other in proportion, floored, then crops
`crop_size` at rounded offsets. Both are one Pillow `resize(…, box=…)` whose box is that crop, mapped back to the
source: pixels differ by at most 1. Source: torchvision 0.29, `transforms/functional.py`
(`_compute_resized_output_size`, `center_crop`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from storage.records import Preprocessing

Box = tuple[float, float, float, float]

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}

#: What makes the picture upright, by the value of EXIF's Orientation tag (EXIF 2.32, table 8). 1 is upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: Orientations that exchange width and height.
_SIDEWAYS = (5, 6, 7, 8)


def crop(picture: Image.Image, orientation: int, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return the model's view of an RGB picture.

    Args:
        picture: mode RGB, as stored in the file.
        orientation: EXIF's, 1 to 8.
        preprocessing: sizes and interpolation.

    Returns:
        uint8 `[crop_size, crop_size, 3]`, RGB, upright.

    """
    size = preprocessing.crop_size
    box = _stored_box(_crop_box(upright_size(picture.size, orientation), preprocessing), picture.size, orientation)
    view = picture.resize((size, size), _RESAMPLING[preprocessing.interpolation], box=box)
    # Turning the small view upright is cheaper than turning the picture.
    if orientation in _UPRIGHT:
        view = view.transpose(_UPRIGHT[orientation])
    return np.asarray(view)


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return width and height as a viewer shows them."""
    width, height = size
    return (height, width) if orientation in _SIDEWAYS else (width, height)


def _crop_box(size: tuple[int, int], preprocessing: Preprocessing) -> Box:
    """Return the centre crop in pixels of an upright picture of this size."""
    width, height = size
    short, crop_size = preprocessing.resize_size, preprocessing.crop_size
    # The short side becomes `short`, exactly; the other is floored, which makes the two scales differ a little.
    wide, high = max(short, int(short * width / height)), max(short, int(short * height / width))
    left, top = round((wide - crop_size) / 2), round((high - crop_size) / 2)
    scale_x, scale_y = width / wide, height / high
    return left * scale_x, top * scale_y, (left + crop_size) * scale_x, (top + crop_size) * scale_y


def _stored_box(box: Box, size: tuple[int, int], orientation: int) -> Box:
    """Map a box of the upright picture to the picture as stored, which has this size."""
    left, top, right, bottom = box
    width, height = size
    if orientation in _SIDEWAYS:
        left, top, right, bottom = top, left, bottom, right
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return left, top, right, bottom
