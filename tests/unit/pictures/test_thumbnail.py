"""A thumbnail is a small JPEG: of what the model sees, or of all of the picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from archive.failures import ImageError
from pictures import thumbnail as thumbnails
from pictures.decoding import decode
from pictures.thumbnail import thumbnail, whole_thumbnail
from storage.records import Preprocessing
from tests.unit.pictures.pictures import BEST, encoded

PREPROCESSING = Preprocessing(
    resize_size=256, crop_size=224, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)
)
MAX_PIXELS = 1_000_000


def photo_bytes(*, turned: bool = False) -> bytes:
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
    small = opened(thumbnail(photo_bytes(turned=True), PREPROCESSING, MAX_PIXELS))
    assert (small.format, small.size) == ("JPEG", (160, 160))
    assert not small.getexif()


@pytest.mark.parametrize("turned", [False, True])
def test_it_shows_what_the_model_sees_upright(turned: bool) -> None:
    data = photo_bytes(turned=turned)
    small = np.asarray(opened(thumbnail(data, PREPROCESSING, MAX_PIXELS, side=56)), np.float64)
    seen = decode(data, PREPROCESSING, MAX_PIXELS).pixels.astype(np.float64)
    means = seen.reshape(56, 4, 56, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - means).mean() < 5
    assert small[:, :20, 0].mean() > 190
    assert small[:, -20:, 2].mean() > 190


def test_a_crop_that_is_smaller_is_not_enlarged() -> None:
    assert opened(thumbnail(photo_bytes(), PREPROCESSING, MAX_PIXELS, side=1000)).size == (224, 224)


def test_a_damaged_image_has_none() -> None:
    with pytest.raises(ImageError):
        thumbnail(photo_bytes()[:200], PREPROCESSING, MAX_PIXELS)


@pytest.mark.parametrize(("size", "side"), [((901, 640), 320), ((640, 901), 320), ((300, 200), 320), ((2000, 7), 90)])
def test_all_of_a_picture_keeps_its_shape_and_is_not_enlarged(size: tuple[int, int], side: int) -> None:
    scale = min(1, side / max(size))
    small = opened(whole_thumbnail(encoded(Image.new("RGB", size, (9, 9, 9)), "BMP"), 10**7, side))
    assert small.size == tuple(max(1, round(pixels * scale)) for pixels in size)


@pytest.mark.parametrize("file_format", BEST)
def test_all_of_a_picture_looks_as_it_does_when_it_is_made_small_at_once(
    file_format: str, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut into tiles as a large one is."""
    picture = photo.resize((1200, 1495), Image.Resampling.BICUBIC)
    data = encoded(picture, file_format, **BEST[file_format])
    monkeypatch.setattr(thumbnails, "BAND_PIXELS", 5000)
    small = np.asarray(opened(whole_thumbnail(data, 10**7, 320)), np.float64)
    wanted = np.asarray(picture.resize((257, 320), Image.Resampling.BICUBIC), np.float64)
    assert np.abs(small - wanted).mean() < (12 if file_format == "GIF" else 6)


@pytest.mark.parametrize("size", [(1, 9_000_000), (9_000_000, 1)], ids=str)
def test_a_picture_as_thin_as_a_thread_is_made_small(size: tuple[int, int]) -> None:
    data = encoded(Image.new("L", size, 200), "TIFF", compression="tiff_adobe_deflate")
    small = opened(whole_thumbnail(data, 10**7, 320))
    assert (sorted(small.size), small.getextrema()) == ([1, 320], (200, 200))


def test_a_picture_with_too_many_pixels_has_no_thumbnail() -> None:
    with pytest.raises(ImageError, match="NIGHTLABEL_MAX_MEGAPIXELS"):
        whole_thumbnail(photo_bytes(), 100_000, 320)
