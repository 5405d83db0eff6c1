"""torchvision's resize and centre crop, in one step that gives the same pixels for less work.

torchvision resizes the short side to `resize_size` and the other in proportion, floored, then crops
`crop_size` at rounded offsets. Both are one Pillow `resize(…, box=…)` whose box is that crop, mapped back to the
source: pixels differ by at most 1, by 2 where the model's transforms are bicubic. Source: torchvision 0.29,
`transforms/functional.py` (`_compute_resized_output_size`, `center_crop`).
"""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pictures.display import DisplayPicture
    from storage.records import Preprocessing

Box = tuple[float, float, float, float]
Number = TypeVar("Number", int, float)

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
#: Pixels of what a picture is once it is resized along one side: 48 MB in RGB.
MOST_STRIP_PIXELS = 16_000_000
#: Pixels to each side that a filter looks at, at a scale of 1. Source: Pillow 13, `Resample.c`
_SUPPORT = {Image.Resampling.NEAREST: 0, Image.Resampling.BILINEAR: 1, Image.Resampling.BICUBIC: 2}


def crop(
    picture: DisplayPicture,
    orientation: int,
    preprocessing: Preprocessing,
    *,
    stored_size: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Return the part of a picture that the model gets.

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
    seen_size = upright_size(stored_size, orientation)
    box = _stored_box(_crop_box(seen_size, preprocessing), stored_size, orientation)
    box = _in_picture(box, stored_size, picture.size)
    size, method = preprocessing.crop_size, _RESAMPLING[preprocessing.interpolation]
    if method is Image.Resampling.BICUBIC:
        vertical_first = _is_vertical_first(seen_size, preprocessing) != (orientation in _SIDEWAYS)
        cropped = _resize_by_bands(picture, size, box, method, vertical_first=vertical_first)
    elif _goes_by_bands(picture, size):
        cropped = _resize_by_bands(picture, size, box, method, vertical_first=_cuts_height_first(picture.size, size))
    else:
        cropped = picture.part((0, 0, *picture.size)).resize((size, size), method, box)
    # Turning the small crop upright is cheaper than turning the picture.
    return np.asarray(upright(cropped, orientation).convert("RGB"))


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Return a picture as a viewer shows it, of one with this EXIF orientation."""
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


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


def _cuts_height_first(size: tuple[int, int], side: int) -> bool:
    """Tell whether Pillow goes through the columns first where it resizes a box of such a picture to a square."""
    width, height = size
    return side < height and height - side > 2 * (width - side)


def _goes_by_bands(picture: DisplayPicture, size: int) -> bool:
    """Tell whether all of a picture at once would take much memory: converted, or resized along one side."""
    is_thread = max(picture.size) * size > MOST_STRIP_PIXELS
    return is_thread or (not picture.is_plain and picture.size[0] * picture.size[1] > BAND_PIXELS)


def _resize_by_bands(
    picture: DisplayPicture, size: int, box: Box, method: Image.Resampling, *, vertical_first: bool
) -> Image.Image:
    """Resize as Pillow does, first along one side and then along the other; the first time by bands.

    Each band goes through the same numbers as the whole picture would: the box keeps its place, since moving it would
    round other weights.
    """
    along = 1 if vertical_first else 0  # the side that is made `size` first; bands lie side by side along the other
    length = picture.size[1 - along]
    begin, end = _reach(box[1 - along], box[3 - along], length, size, method)
    # Of a picture like a thread, all of the strip would be huge.
    moved = begin if length * size > MOST_STRIP_PIXELS else 0
    strip: Image.Image | None = None
    for first, past in _bands(begin, end, across=picture.size[along]):
        part = picture.part(_laid(along, 0, first, picture.size[along], past))
        band = part.resize(
            _turned(along, size, past - first), method, _laid(along, box[along], 0, box[2 + along], past - first)
        )
        strip = strip or Image.new(band.mode, _turned(along, size, (end if moved else length) - moved))
        strip.paste(band, _turned(along, 0, first - moved))
    assert strip
    return strip.resize((size, size), method, _laid(along, 0, box[1 - along] - moved, size, box[3 - along] - moved))


def _turned(along: int, along_it: int, across: int) -> tuple[int, int]:
    """Return x and y, or width and height, of what is given along a side and across it."""
    return (across, along_it) if along else (along_it, across)


def _laid(along: int, begin: Number, top: Number, end: Number, bottom: Number) -> tuple[Number, Number, Number, Number]:
    """Return left, top, right and bottom of a box that is given along a side and across it."""
    return (top, begin, bottom, end) if along else (begin, top, end, bottom)


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
