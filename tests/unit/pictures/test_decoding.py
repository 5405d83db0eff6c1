"""Decoding: the same view of a picture, whatever kind of file it lies in."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageOps

from pictures.decoding import decode
from pictures.formats import StrippedFile
from pictures.jpeg_decoder import decode_jpeg
from tests.unit.pictures.pictures import BEST, MAX_PIXELS, encoded, farthest, on_average, plain_view, view

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Preprocessing

ORIENTATION_TAG = 0x0112
#: A short side that no picture has: so none is scaled down.
NEVER_SCALED = 1_000_000
#: Levels on average, measured at 0.4 (JPEG) to 1.8 (GIF's 256 colours): writing's loss, not reading's.
LOSS = {"JPEG": 1.0, "GIF": 2.5, "AVIF": 1.5, "HEIF": 1.0}
#: Levels on average: a picture on its side is resized in the other order, and rounded between the two.
ROUNDING = 0.5


@pytest.mark.parametrize("file_format", BEST)
def test_every_format_shows_the_picture_that_was_written(
    file_format: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """No name is given: what the bytes are decides. What loses nothing shows the very pixels."""
    shown = view(encoded(photo, file_format, **BEST[file_format]), preprocessing)

    assert on_average(shown, plain_view(np.asarray(photo), preprocessing)) <= LOSS.get(file_format, 0)


@pytest.mark.parametrize("file_format", BEST)
def test_width_and_height_are_the_pictures(file_format: str, photo: Image.Image, preprocessing: Preprocessing) -> None:
    decoded = decode(encoded(photo, file_format), preprocessing, MAX_PIXELS)

    assert (decoded.width, decoded.height) == photo.size


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_an_orientation_in_exif_is_applied(
    file_format: str, orientation: int, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """A turned picture shows what its upright twin shows, but for what the format and rounding lose."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    turned = encoded(photo, file_format, exif=exif.tobytes(), **BEST[file_format])
    upright = photo.copy()
    upright.getexif()[ORIENTATION_TAG] = orientation
    twin = plain_view(np.asarray(ImageOps.exif_transpose(upright)), preprocessing)

    assert on_average(view(turned, preprocessing), twin) <= LOSS.get(file_format, ROUNDING)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_a_picture_on_its_side_has_the_size_that_a_viewer_shows(
    file_format: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6

    decoded = decode(encoded(photo, file_format, exif=exif.tobytes()), preprocessing, MAX_PIXELS)

    assert (decoded.height, decoded.width) == photo.size


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(
    orientation: int, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation

    shown = view(encoded(photo, "JPEG", exif=exif.tobytes()), preprocessing)

    assert farthest(shown, view(encoded(photo, "JPEG"), preprocessing)) == 0


def test_the_fast_way_decodes_every_photo_to_pillows_pixels(photos: Path) -> None:
    """All 125 go the fast way, and not one value of one pixel differs."""
    differing = []
    for path in sorted(photos.glob("*.jpg")):
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as picture:
            fast = decode_jpeg(StrippedFile(data), picture.mode, picture.size, min_short_side=NEVER_SCALED)
            if fast is None or ImageChops.difference(Image.fromarray(fast.pixels), picture.convert("RGB")).getbbox():
                differing.append(path.name)

    assert differing == []


def test_a_progressive_jpeg_shows_what_its_baseline_twin_shows(
    photo: Image.Image, preprocessing: Preprocessing
) -> None:
    progressive = encoded(photo, "JPEG", progressive=True)

    assert farthest(view(progressive, preprocessing), view(encoded(photo, "JPEG"), preprocessing)) == 0


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_grey_picture_is_grey(file_format: str, photo: Image.Image, preprocessing: Preprocessing) -> None:
    grey = photo.convert("L")

    shown = view(encoded(grey, file_format, **BEST[file_format]), preprocessing)

    assert on_average(shown, plain_view(np.asarray(grey), preprocessing)) <= LOSS.get(file_format, 0)


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_printing_inks_become_colours(file_format: str, photo: Image.Image, preprocessing: Preprocessing) -> None:
    """CMYK: and a JPEG's is inverted, as Adobe writes it."""
    shown = view(encoded(photo.convert("CMYK"), file_format), preprocessing)

    assert on_average(shown, plain_view(np.asarray(photo), preprocessing)) <= 2.5


def test_of_a_multi_picture_file_the_first_picture_counts(photo: Image.Image, preprocessing: Preprocessing) -> None:
    """MPO: what stereo cameras and some phones write."""
    both = encoded(photo, "MPO", save_all=True, append_images=[ImageOps.invert(photo)])

    assert farthest(view(both, preprocessing), view(encoded(photo, "JPEG"), preprocessing)) == 0


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF", "HEIF"])
def test_of_several_pictures_the_first_counts(
    file_format: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """Animations, and the pages of a TIFF."""
    frames = [ImageOps.mirror(photo), ImageOps.invert(photo)]

    shown = view(encoded(photo, file_format, save_all=True, append_images=frames, **BEST[file_format]), preprocessing)

    assert on_average(shown, plain_view(np.asarray(photo), preprocessing)) <= LOSS.get(file_format, 0)


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_stands_for_its_colours(file_format: str, photo: Image.Image, preprocessing: Preprocessing) -> None:
    palette = photo.quantize(64)

    shown = view(encoded(palette, file_format), preprocessing)

    assert farthest(shown, plain_view(np.asarray(palette.convert("RGB")), preprocessing)) == 0


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "GIF"])
def test_one_bit_is_black_or_white(file_format: str, photo: Image.Image, preprocessing: Preprocessing) -> None:
    bits = photo.convert("1")

    shown = view(encoded(bits, file_format), preprocessing)

    assert farthest(shown, plain_view(np.asarray(bits.convert("L")), preprocessing)) == 0


@pytest.mark.parametrize("colours", [257, 9999, 2**32 - 1])
def test_a_bitmap_that_claims_more_colours_than_its_pixels_can_name_is_shown(
    colours: int, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    data = encoded(photo.convert("P"), "BMP")

    odd = data[:46] + struct.pack("<I", colours) + data[50:]

    assert farthest(view(odd, preprocessing), view(data, preprocessing)) == 0


def test_a_tiffs_palette_of_8_bits_stands_for_its_colours(photo: Image.Image, preprocessing: Preprocessing) -> None:
    """Old programs did not spread them to the 16 bits that belong there: read as such, all of them are black."""
    data = encoded(photo.convert("P"), "TIFF")
    with Image.open(io.BytesIO(data)) as picture:
        palette: tuple[int, ...] = picture.tag_v2[320]  # type: ignore[attr-defined]
    written = struct.pack(f"<{len(palette)}H", *palette)
    assert data.count(written) == 1

    odd = data.replace(written, struct.pack(f"<{len(palette)}H", *(value >> 8 for value in palette)))

    assert farthest(view(odd, preprocessing), view(data, preprocessing)) == 0


@pytest.mark.parametrize("file_format", ["AVIF", "HEIF"])
def test_a_brand_that_nobody_knows_stands_before_one_that_is_read(
    file_format: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """What a file may be read as stands in the list behind its own brand, which may be a program's."""
    data = encoded(photo, file_format)

    odd = data[:8] + b"zzzz" + data[12:]

    assert farthest(view(odd, preprocessing), view(data, preprocessing)) == 0
