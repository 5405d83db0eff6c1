"""torchvision's resize and centre crop, in one step that gives the same pixels for less work.

torchvision resizes the short side to `resize_size` and the other in proportion, floored, then crops
`crop_size` at rounded offsets. Both are one Pillow `resize(…, box=…)` whose box is that crop, mapped back to the
source: pixels differ by at most 1, by 2 where the model's transforms are bicubic. Source: torchvision 0.29,
`transforms/functional.py` (`_compute_resized_output_size`, `center_crop`).
"""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from storage.records import Preprocessing
    from worker.viewed import Viewed

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

#: Pixels that a larger picture is converted and resized at once: 8 MB in RGBA, and a few times that on the way.
BAND_PIXELS = 2_000_000
#: Pixels to each side that a filter looks at, at a scale of 1. Source: Pillow 13, `Resample.c`
_SUPPORT = {Image.Resampling.NEAREST: 0, Image.Resampling.BILINEAR: 1, Image.Resampling.BICUBIC: 2}


def crop(
    picture: Viewed,
    orientation: int,
    preprocessing: Preprocessing,
    *,
    stored_size: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Return the model's view of a picture.

    Args:
        picture: not yet upright.
        orientation: EXIF's, 1 to 8.
        preprocessing: sizes and interpolation.
        stored_size: width and height in the file, where the picture was scaled down while it was decoded: the crop
            is reckoned from these.

    Returns:
        uint8 `[crop_size, crop_size, 3]`, RGB, upright.

    """
    stored_size = stored_size or picture.size
    upright = upright_size(stored_size, orientation)
    box = _stored_box(_crop_box(upright, preprocessing), stored_size, orientation)
    box = _in_picture(box, stored_size, picture.size)
    size, method = preprocessing.crop_size, _RESAMPLING[preprocessing.interpolation]
    if method is Image.Resampling.BICUBIC and _is_vertical_first(upright, preprocessing) != (orientation in _SIDEWAYS):
        view = _resize_vertically_first(picture, size, box, method)
    elif method is Image.Resampling.BICUBIC or picture.size[0] * picture.size[1] > BAND_PIXELS:
        view = _resize_horizontally_first(picture, size, box, method)
    else:
        view = picture.part((0, 0, *picture.size)).resize((size, size), method, box)
    # Turning the small view upright is cheaper than turning the picture.
    if orientation in _UPRIGHT:
        view = view.transpose(_UPRIGHT[orientation])
    return np.asarray(view.convert("RGB"))


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return width and height as a viewer shows them."""
    width, height = size
    return (height, width) if orientation in _SIDEWAYS else (width, height)


def _resized(size: tuple[int, int], short: int) -> tuple[int, int]:
    """Return what torchvision resizes to: the short side becomes `short`, exactly; the other is floored."""
    width, height = size
    return max(short, int(short * width / height)), max(short, int(short * height / width))


def _crop_box(size: tuple[int, int], preprocessing: Preprocessing) -> Box:
    """Return the centre crop in pixels of an upright picture of this size."""
    width, height = size
    wide, high = _resized(size, preprocessing.resize_size)
    crop_size = preprocessing.crop_size
    left, top = round((wide - crop_size) / 2), round((high - crop_size) / 2)
    scale_x, scale_y = width / wide, height / high
    return left * scale_x, top * scale_y, (left + crop_size) * scale_x, (top + crop_size) * scale_y


def _is_vertical_first(size: tuple[int, int], preprocessing: Preprocessing) -> bool:
    """Tell in which order Pillow resizes the whole picture, as torchvision has it do.

    Between its two passes the picture is rounded and clipped, and bicubic overshoots: in the other order pixels
    would differ by up to 24. Source: Pillow 13, `Resample.c`, confirmed on 1,500 sizes.
    """
    (width, height), (wide, high) = size, _resized(size, preprocessing.resize_size)
    return high < height and height - high > 2 * (width - wide)


def _resize_horizontally_first(picture: Viewed, size: int, box: Box, method: Image.Resampling) -> Image.Image:
    """Resize as Pillow does, by bands of rows: it goes through all rows first, and then through what came of them."""
    left, top, right, bottom = box
    (x0, x1), (y0, y1) = (_reach(*side, size, method) for side in _sides(picture, box))
    strip: Image.Image | None = None
    for begin, end in _bands(y0, y1, across=x1 - x0):
        band = picture.part((x0, begin, x1, end))
        band = band.resize((size, end - begin), method, (left - x0, 0, right - x0, end - begin))
        strip = strip or Image.new(band.mode, (size, y1 - y0))
        strip.paste(band, (0, begin - y0))
    assert strip
    return strip.resize((size, size), method, (0, top - y0, size, bottom - y0))


def _resize_vertically_first(picture: Viewed, size: int, box: Box, method: Image.Resampling) -> Image.Image:
    """Resize in the other order, by bands of columns."""
    left, top, right, bottom = box
    (x0, x1), (y0, y1) = (_reach(*side, size, method) for side in _sides(picture, box))
    strip: Image.Image | None = None
    for begin, end in _bands(x0, x1, across=y1 - y0):
        band = picture.part((begin, y0, end, y1))
        band = band.resize((end - begin, size), method, (0, top - y0, end - begin, bottom - y0))
        strip = strip or Image.new(band.mode, (x1 - x0, size))
        strip.paste(band, (begin - x0, 0))
    assert strip
    return strip.resize((size, size), method, (left - x0, 0, right - x0, size))


def _sides(picture: Viewed, box: Box) -> tuple[tuple[float, float, int], tuple[float, float, int]]:
    """Return where the box begins and ends, and how long the picture is: across, and down."""
    (width, height), (left, top, right, bottom) = picture.size, box
    return (left, right, width), (top, bottom, height)


def _reach(begin: float, end: float, length: int, size: int, method: Image.Resampling) -> tuple[int, int]:
    """Return the pixels of a side that count for `size` pixels made of `begin` to `end`: the first, and one past."""
    beyond = _SUPPORT[method] * max(1.0, (end - begin) / size) + 1
    return max(0, floor(begin - beyond)), min(length, ceil(end + beyond))


def _bands(begin: int, end: int, *, across: int) -> Iterator[tuple[int, int]]:
    """Cut a length up, so that bands of this many pixels across are no larger than `BAND_PIXELS`."""
    step = max(1, BAND_PIXELS // across)
    for first in range(begin, end, step):
        yield first, min(end, first + step)


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


def _in_picture(box: Box, stored_size: tuple[int, int], size: tuple[int, int]) -> Box:
    """Map a box of the stored picture to the decoded one of this size, which may be scaled down."""
    left, top, right, bottom = box
    width, height = size
    scale_x, scale_y = width / stored_size[0], height / stored_size[1]
    # Rounding may put an edge a hair's breadth outside, which Pillow refuses.
    return (
        max(0.0, left * scale_x),
        max(0.0, top * scale_y),
        min(float(width), right * scale_x),
        min(float(height), bottom * scale_y),
    )
