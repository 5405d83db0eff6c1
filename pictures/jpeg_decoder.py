"""The fast way to a JPEG's pixels, and what libjpeg says of them: Pillow keeps its warnings to itself."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import simplejpeg

from archive.failures import FailureKind, ImageError
from pictures.png_rows import check_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pictures.formats import StrippedFile

#: By which libjpeg-turbo scales in its fast transforms; other eighths are slower than no scaling.
_SCALES = (8, 4, 2)
#: libjpeg's colours for Pillow's modes. CMYK is decoded for what libjpeg says of it, and shown by Pillow.
COLOURS = {"RGB": "RGB", "L": "RGB", "CMYK": "CMYK"}
#: libjpeg says so when an encoder padded what it wrote; or when what it read was not what the encoder wrote.
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_EOI = b"\xff\xd9"
#: Zeros at the end that may yet be the last pixels' own.
_MOST_OWN_ZEROS = 2
#: What libjpeg makes of missing rows: the middle of its range, which is one less in CMYK.
_MISSING = (127, 128)


class JpegPixels(NamedTuple):
    """What libjpeg made of a file."""

    pixels: NDArray[np.uint8]  #: `[H, W, 3]` RGB, or `[H, W, 4]` CMYK
    warning: str | None  #: what it said of damage


def decode_jpeg(file: StrippedFile, mode: str, size: tuple[int, int], min_short_side: int) -> JpegPixels | None:
    """Decode an 8-bit JPEG, scaled down by 2, 4 or 8 if its short side keeps `min_short_side` pixels.

    Twice as fast as Pillow, with the same pixels; and a photo of 12 megapixels six times as fast again. The least is
    twice what the model's transforms resize to: with less, labels begin to differ (docs/formats.md).

    Args:
        file: without metadata.
        mode: Pillow's, one of `COLOURS`.
        size: width and height.
        min_short_side: pixels of the short side.

    Returns:
        None where simplejpeg cannot, and Pillow must.

    Raises:
        ImageError: rows are missing.

    """
    divisor = next((divisor for divisor in _SCALES if min(size) >= min_short_side * divisor), 1)
    width, height = (-(-side // divisor) for side in size)
    options = {"colorspace": COLOURS[mode], "min_width": width, "min_height": height}
    try:
        return JpegPixels(simplejpeg.decode_jpeg(file.data, **options), file.warning)
    except ValueError as error:
        warning = str(error)
    for shorter in _without_padding(file.data, warning):
        with suppress(ValueError):  # what was left over was no padding
            return JpegPixels(simplejpeg.decode_jpeg(shorter, **options), file.warning)
    try:
        pixels = simplejpeg.decode_jpeg(file.data, strict=False, **options)
    except ValueError:
        return None
    if not file.has_end and not _has_more(file.data, warning):
        raise ImageError(FailureKind.TRUNCATED, "the file ends before the picture does")
    _check_rows(pixels)
    return JpegPixels(pixels, warning)


def _without_padding(data: bytes, warning: str) -> Iterator[bytes]:
    """Yield the file without the zeros between its last pixel and its end; nothing, if something else lies there.

    The last pixels may end in zeros of their own, so some of them are left in turn.
    """
    body = data.removesuffix(_EOI)
    if _LEFT_OVER.search(warning) and not _has_more(data, warning):
        sound = len(body.rstrip(b"\0"))
        for own in range(_MOST_OWN_ZEROS + 1):
            yield body[: sound + own] + _EOI


def _has_more(data: bytes, warning: str) -> bool:
    """Tell whether something lies behind the last pixel, so that the file did not end too early; zeros are nothing."""
    found = _LEFT_OVER.search(warning)
    return bool(found and data.removesuffix(_EOI)[-int(found[1]) :].strip(b"\0"))


def _check_rows(pixels: NDArray[np.uint8]) -> None:
    is_there = ~np.isin(pixels, _MISSING).all(axis=(1, 2))
    there = int(np.flatnonzero(is_there)[-1]) + 1 if is_there.any() else 0
    check_rows(there / len(pixels))
