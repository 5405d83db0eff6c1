"""Grey pictures of more than 8 bits a pixel, which Pillow's `convert("RGB")` would clip to white.

Up to 16 bits are scaled by their type. 32-bit integers and floats have no range that files agree on, so that they are
spread from black to white, over what the picture itself holds: without what says «no value», and without the few pixels
that lie far from all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.TiffTags import TAGS_V2

from archive.failures import FailureKind, ImageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_TAG = {info.name: tag for tag, info in TAGS_V2.items()}
_BITS, _SAMPLE_FORMAT, _PHOTOMETRIC = (
    _TAG[name] for name in ("BitsPerSample", "SampleFormat", "PhotometricInterpretation")
)
#: GDAL's tag: the value, as text, that stands for «nothing was measured here».
_GDAL_NODATA = 42113
#: TIFF 6.0: SampleFormat 1 is unsigned; PhotometricInterpretation 0 is a negative, WhiteIsZero.
_UNSIGNED, _WHITE_IS_ZERO = 1, 0

#: Floats as far from 0 as this say «no value»: -3.4e38 and 9.97e36 do in measured pictures, and no light is so bright.
_NO_VALUE = 1e30
#: Pixels that a picture's range is reckoned from; of a larger picture, so many at even distances.
_SAMPLE_PIXELS = 1_000_000
#: Shares of the values, in percent, between which the picture's own range is looked for. Values beyond them count as
#: long as they lie no farther out than these two lie from each other: Tukey's fences, with wider hinges.
_HINGES = (1, 99)
#: Ends of a range that may be no values, though nobody says so: one far below all others, as -9999 is, and one above.
_FAR_ENDS = 2
#: Share of the pixels without a value from which on it is said: they are black, and may be what the model sees.
_MANY_WITHOUT_VALUE = 0.01
#: A picture of fewer values than this is a drawing, whose lowest one may lie far from the others.
_FEWEST_VALUES = 16


def is_deep(picture: Image.Image) -> bool:
    return picture.mode.startswith("I;16") or picture.mode in ("I", "F")


def to_8_bits(picture: Image.Image) -> tuple[Callable[[Image.Image], Image.Image], str | None]:
    """Return the function that makes any part of a deep picture grey, mode L; and what is to be said of its pixels.

    Args:
        picture: loaded, of a mode for which `is_deep` holds.

    Raises:
        ImageError: no pixel has a value.

    """
    grey, warning = (_scaling(picture), None) if picture.mode.startswith("I;16") else _spreading(picture)
    return lambda part: Image.fromarray(grey(part)), warning


def _scaling(picture: Image.Image) -> Callable[[Image.Image], NDArray[np.uint8]]:
    tags = getattr(picture, "tag_v2", {})  # a PNG has none
    (bits,) = tags.get(_BITS, (16,))
    is_negative = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO  # Pillow turns only 8-bit ones
    transparent = picture.info.get("transparency")

    def scaled(part: Image.Image) -> NDArray[np.uint8]:
        values = np.asarray(part)
        grey: NDArray[np.uint8] = (values >> (bits - 8)).astype(np.uint8)
        if is_negative:
            grey = 255 - grey
        if isinstance(transparent, int):  # PNG's tRNS names one grey, which lies on white
            grey[values == transparent] = 255
        return grey

    return scaled


def _spreading(picture: Image.Image) -> tuple[Callable[[Image.Image], NDArray[np.uint8]], str | None]:
    tags = getattr(picture, "tag_v2", {})
    # Pillow knows signed integers only.
    is_unsigned = (tags.get(_BITS), tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))) == ((32,), (_UNSIGNED,))
    kind = np.uint32 if picture.mode == "I" and is_unsigned else None
    no_data = _no_data(tags)
    sample = _sample(picture, kind)
    measured = _measured(sample, np.float32(no_data) if picture.mode == "F" else no_data)
    low, high = _range(measured)
    steps = 255 / (high - low) if low < high else 0.0  # a picture of one value is black
    is_negative = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO

    def spread(part: Image.Image) -> NDArray[np.uint8]:
        values = np.nan_to_num(_values(part, kind), nan=low, posinf=high, neginf=low)
        grey: NDArray[np.uint8] = ((np.clip(values, low, high) - low) * steps).round().astype(np.uint8)
        return 255 - grey if is_negative else grey

    missing = 1 - measured.size / sample.size
    warning = f"{missing:.0%} of its pixels have no value" if missing >= _MANY_WITHOUT_VALUE else None
    return spread, warning


def _values(part: Image.Image, kind: type[np.uint32] | None) -> NDArray[np.float64]:
    """Return the pixels in a type that holds every 32-bit integer, and the distance between any two floats."""
    raw = np.asarray(part)
    return (raw.view(kind) if kind else raw).astype(np.float64)


def _sample(picture: Image.Image, kind: type[np.uint32] | None) -> NDArray[np.float64]:
    width, height = picture.size
    shrink = max(1.0, (width * height / _SAMPLE_PIXELS) ** 0.5)
    wide = max(1, min(_SAMPLE_PIXELS, round(width / shrink)))
    high = max(1, min(height, _SAMPLE_PIXELS // wide))
    return _values(picture.resize((wide, high), Image.Resampling.NEAREST), kind).ravel()


def _no_data(tags: dict[int, object]) -> float:
    """Return the value that a GeoTIFF says is none; NaN where it names none, which equals nothing."""
    try:
        return float(str(tags.get(_GDAL_NODATA, "nan")).strip("\0 "))
    except ValueError:
        return float("nan")


def _measured(values: NDArray[np.float64], no_data: float | np.float32) -> NDArray[np.float64]:
    """Return the values that are some.

    Raises:
        ImageError: there are none.

    """
    measured: NDArray[np.float64] = values[np.isfinite(values) & (np.abs(values) < _NO_VALUE) & (values != no_data)]
    if not measured.size:
        raise ImageError(
            FailureKind.DAMAGED, "none of its pixels has a value: all are NaN, infinite or marked as no data"
        )
    distinct = np.unique(measured)
    for _ in range(_FAR_ENDS):
        distinct = _without_far_end(distinct)
    near: NDArray[np.float64] = measured[(measured >= distinct[0]) & (measured <= distinct[-1])]
    return near


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the values that become black and white."""
    distinct = np.unique(values)
    lower, upper = np.percentile(values, _HINGES)
    reach = upper - lower
    if not reach:  # nearly all of one value, and something else in it
        return float(distinct[0]), float(distinct[-1])
    inside = distinct[(distinct >= lower - reach) & (distinct <= upper + reach)]
    return float(inside[0]), float(inside[-1])


def _without_far_end(distinct: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out the lowest or the highest value if it lies farther from the others than these from each other."""
    if distinct.size < _FEWEST_VALUES:
        return distinct
    if distinct[1] - distinct[0] > distinct[-1] - distinct[1]:
        return distinct[1:]
    if distinct[-1] - distinct[-2] > distinct[-2] - distinct[0]:
        return distinct[:-1]
    return distinct
