"""Rows that a file should have and has not, where its decoder gives black or grey ones in their place."""

from __future__ import annotations

import io
from math import floor
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from archive.failures import FailureKind, ImageError
from pictures.formats import png

if TYPE_CHECKING:
    from pictures.formats import StrippedFile

#: Of the rows. With more of them missing, what is left is not the picture.
MOST_MISSING = 0.1


def check_rows(there: float) -> str | None:
    """Return what is to be said of a picture that has this share of its rows; nothing, if it has all.

    Raises:
        ImageError: too many are missing.

    """
    said = f"its data ends after {floor(100 * there)}% of its rows"
    if there < 1 - MOST_MISSING:
        raise ImageError(FailureKind.DAMAGED, said)
    return said if there < 1 else None


def load_png(file: StrippedFile, picture: Image.Image) -> tuple[Image.Image, str | None]:
    """Return a PNG with its pixels decoded, and what is known of damage in it.

    Its decoder takes packed rows that end early for all there are, and refuses rows which are all there for a wrong
    check sum behind them.

    Raises:
        ImageError: too many rows are missing.

    """
    warning = file.warning
    try:
        picture.load()
    except OSError:
        if warning or png.share_of_rows(file.data) < 1:
            raise
        picture = Image.open(io.BytesIO(png.without_check_sum(file.data)), formats=("PNG",))
        picture.load()
        return picture, "the checksum of its pixels is wrong"
    if picture.info.get("interlace") or _ends_in_zeros(picture):  # to unpack all others again would cost time
        warning = check_rows(png.share_of_rows(file.data)) or warning
    return picture, warning


def _ends_in_zeros(picture: Image.Image) -> bool:
    width, height = picture.size
    return not np.asarray(picture.crop((0, height - 1, width, height))).any()
