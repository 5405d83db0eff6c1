"""A thumbnail is a small JPEG of what the model sees."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from archive.failures import ImageError
from pictures.decoding import decode
from pictures.thumbnail import thumbnail
from storage.records import Preprocessing

PREPROCESSING = Preprocessing(
    resize_size=256, crop_size=224, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)
)
MAX_PIXELS = 1_000_000


def photo(*, turned: bool = False) -> bytes:
    """A wide picture, red on the left and blue on the right; or a tall one that says it must be turned."""
    picture = Image.new("RGB", (400, 300), (200, 0, 0))
    picture.paste((0, 0, 200), (200, 0, 400, 300))
    exif = Image.Exif()
    if turned:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = 6  # its top is on the right
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=95, exif=exif.tobytes())
    return written.getvalue()


def opened(jpeg: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(jpeg))
    picture.load()
    return picture


def test_it_is_a_small_jpeg_without_metadata() -> None:
    small = opened(thumbnail(photo(turned=True), PREPROCESSING, MAX_PIXELS))
    assert (small.format, small.size) == ("JPEG", (160, 160))
    assert not small.getexif()


@pytest.mark.parametrize("turned", [False, True])
def test_it_shows_what_the_model_sees_upright(turned: bool) -> None:
    data = photo(turned=turned)
    small = np.asarray(opened(thumbnail(data, PREPROCESSING, MAX_PIXELS, side=56)), np.float64)
    seen = decode(data, PREPROCESSING, MAX_PIXELS).pixels.astype(np.float64)
    means = seen.reshape(56, 4, 56, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - means).mean() < 5
    assert small[:, :20, 0].mean() > 190
    assert small[:, -20:, 2].mean() > 190


def test_a_crop_that_is_smaller_is_not_enlarged() -> None:
    assert opened(thumbnail(photo(), PREPROCESSING, MAX_PIXELS, side=1000)).size == (224, 224)


def test_a_damaged_image_has_none() -> None:
    with pytest.raises(ImageError):
        thumbnail(photo()[:200], PREPROCESSING, MAX_PIXELS)
