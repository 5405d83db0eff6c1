"""More than 8 bits a sample: scaled, so that a picture shows what its 8-bit twin shows, and never clipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.unit.pictures.pictures import encoded, farthest, plain_view, png, tiff, view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from storage.records import Preprocessing

#: 65,535 / 255: 16 bits for each level of 8.
LEVEL_16 = 257


@pytest.fixture(scope="module")
def grey(photo: Image.Image) -> NDArray[np.uint8]:
    """A grey photo that has black and white in it, `[H, W]`: the 8-bit twin of each picture here."""
    values = np.asarray(photo.convert("L")).copy()
    values[0, 0], values[-1, -1] = 0, 255
    return values


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_grey_bits_are_scaled(file_format: str, grey: NDArray[np.uint8], preprocessing: Preprocessing) -> None:
    deep = Image.fromarray(grey.astype(np.uint16) * LEVEL_16)

    shown = view(encoded(deep, file_format), preprocessing)

    assert farthest(shown, plain_view(grey, preprocessing)) == 0


def test_16_grey_bits_are_scaled_from_either_byte_order(grey: NDArray[np.uint8], preprocessing: Preprocessing) -> None:
    size = grey.shape[1], grey.shape[0]
    big_endian = tiff((grey.astype(">u2") * LEVEL_16).astype(">u2").tobytes(), size, 16, byte_order=">")

    assert farthest(view(big_endian, preprocessing), plain_view(grey, preprocessing)) == 0


def test_a_16_bit_picture_that_is_dark_stays_dark(grey: NDArray[np.uint8], preprocessing: Preprocessing) -> None:
    """The scale is the type's, not the picture's: a night photo is not lit up."""
    dark = grey // 4

    shown = view(encoded(Image.fromarray(dark.astype(np.uint16) * LEVEL_16), "PNG"), preprocessing)

    assert farthest(shown, plain_view(dark, preprocessing)) == 0


def test_16_bits_of_each_colour_are_scaled(photo: Image.Image, preprocessing: Preprocessing) -> None:
    colours = np.asarray(photo)

    shown = view(png(colours.astype(np.uint16) * LEVEL_16, colour_type=2), preprocessing)

    assert farthest(shown, plain_view(colours, preprocessing)) == 0


def test_16_grey_bits_with_a_transparent_grey_are_scaled(grey: NDArray[np.uint8], preprocessing: Preprocessing) -> None:
    """A tRNS chunk does not make a 16-bit picture white; only the one value that it names."""
    expected = grey.copy()
    expected[grey == 0] = 255

    shown = view(encoded(Image.fromarray(grey.astype(np.uint16) * LEVEL_16), "PNG", transparency=0), preprocessing)

    assert farthest(shown, plain_view(expected, preprocessing)) == 0


def test_16_bits_where_zero_is_white_are_not_a_negative(grey: NDArray[np.uint8], preprocessing: Preprocessing) -> None:
    """TIFF's WhiteIsZero, which scanners write."""
    inverted = (65535 - grey.astype(np.int32) * LEVEL_16).astype("<u2")

    shown = view(tiff(inverted.tobytes(), (grey.shape[1], grey.shape[0]), 16, photometric=0), preprocessing)

    assert farthest(shown, plain_view(grey, preprocessing)) <= 1


def test_12_bits_are_scaled_from_12_bits(grey: NDArray[np.uint8], preprocessing: Preprocessing) -> None:
    """What microscopes and X-ray machines write: taken for 16 bits, it would be nearly black."""
    even = grey[:, :300].astype(np.uint16)
    pairs = (even << 4 | even >> 4).reshape(len(even), -1, 2)
    first, second = pairs[..., 0], pairs[..., 1]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1).astype(np.uint8)

    shown = view(tiff(packed.tobytes(), (300, len(even)), 12), preprocessing)

    assert farthest(shown, plain_view(grey[:, :300].copy(), preprocessing)) <= 1


@pytest.mark.parametrize(
    ("scale", "offset", "kind"),
    [(1000, 0, np.int32), (1000, -100_000, np.int32), (8_000_000, -(2**30), np.int32), (1 / 255, 0, np.float32)],
    ids=["integers", "integers below zero", "large integers", "floats"],
)
def test_32_bits_are_spread_from_black_to_white(
    scale: float, offset: int, kind: type, grey: NDArray[np.uint8], preprocessing: Preprocessing
) -> None:
    """They have no range that files agree on, so the darkest value is black and the brightest white."""
    values = Image.fromarray((grey.astype(np.float64) * scale + offset).astype(kind))

    shown = view(encoded(values, "TIFF"), preprocessing)

    assert farthest(shown, plain_view(grey, preprocessing)) <= 1


def test_unsigned_integers_beyond_the_signed_ones_stay_bright(
    grey: NDArray[np.uint8], preprocessing: Preprocessing
) -> None:
    """Without a sign, 32 bits go on where they would turn negative: white must not become black."""
    values = grey.astype("<u4") * 16_843_009  # (2³² - 1) / 255

    shown = view(tiff(values.astype("<u4").tobytes(), (grey.shape[1], grey.shape[0]), 32), preprocessing)

    assert farthest(shown, plain_view(grey, preprocessing)) <= 1


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_a_pixel_without_a_value_costs_the_others_nothing(
    nothing: float, grey: NDArray[np.uint8], preprocessing: Preprocessing
) -> None:
    """Measured pictures mark gaps so. One in a corner, outside of the model's view, must not change that view."""
    values = grey.astype(np.float32) + 1000
    values[0, -1] = nothing

    shown = view(encoded(Image.fromarray(values), "TIFF"), preprocessing)

    assert farthest(shown, plain_view(grey, preprocessing)) <= 1


def test_a_picture_of_one_value_has_an_outcome(preprocessing: Preprocessing) -> None:
    """Nothing is divided by the range of a picture that has none."""
    flat = Image.fromarray(np.full((40, 30), 7, np.float32))

    assert np.ptp(view(encoded(flat, "TIFF"), preprocessing)) == 0
