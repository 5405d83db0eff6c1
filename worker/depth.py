"""Grey pictures of more than 8 bits a pixel, which Pillow's `convert("RGB")` would clip to white."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.TiffTags import TAGS_V2

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TAG = {info.name: tag for tag, info in TAGS_V2.items()}
_BITS, _SAMPLE_FORMAT, _PHOTOMETRIC = (
    _TAG[name] for name in ("BitsPerSample", "SampleFormat", "PhotometricInterpretation")
)
#: TIFF 6.0: SampleFormat 1 is unsigned; PhotometricInterpretation 0 is a negative, WhiteIsZero.
_UNSIGNED, _WHITE_IS_ZERO = 1, 0


def is_deep(picture: Image.Image) -> bool:
    return picture.mode.startswith("I;16") or picture.mode in ("I", "F")


def to_8_bits(picture: Image.Image) -> Image.Image:
    """Return a deep picture in RGB: up to 16 bits scaled, 32 bits, which have no agreed range, spread over all greys.

    Args:
        picture: loaded, of a mode for which `is_deep` holds.

    """
    grey = _scaled(picture) if picture.mode.startswith("I;16") else _spread(picture)
    return Image.fromarray(grey).convert("RGB")


def _scaled(picture: Image.Image) -> NDArray[np.uint8]:
    tags = getattr(picture, "tag_v2", {})  # a PNG has none
    (bits,) = tags.get(_BITS, (16,))
    values = np.asarray(picture)
    grey: NDArray[np.uint8] = (values >> (bits - 8)).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow turns only 8-bit negatives
        grey = 255 - grey
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):  # PNG's tRNS names one grey, which lies on white
        grey[values == transparent] = 255
    return grey


def _spread(picture: Image.Image) -> NDArray[np.uint8]:
    tags = getattr(picture, "tag_v2", {})
    raw = np.asarray(picture)
    if picture.mode == "I" and (tags.get(_BITS), tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))) == ((32,), (_UNSIGNED,)):
        raw = raw.view(np.uint32)  # Pillow knows signed ones only
    values = raw.astype(np.float32)
    known = np.isfinite(values)
    low = float(values.min(where=known, initial=np.inf))
    high = float(values.max(where=known, initial=-np.inf))
    if not low < high:
        return np.zeros(values.shape, np.uint8)
    np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    values -= low
    values *= 255 / (high - low)
    return values.round().astype(np.uint8)
