"""32 bits a pixel, as instruments write them: what marks a gap, or one broken pixel, does not decide what is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from archive.failures import FailureKind, ImageError
from pictures.decoding import decode
from tests.unit.pictures.pictures import MAX_PIXELS, encoded, farthest, plain_view, tiff, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from storage.records import Preprocessing

GDAL_NODATA = 42113
LOWEST = np.finfo(np.float32).min


@pytest.fixture(scope="module")
def grey(photo: Image.Image) -> NDArray[np.uint8]:
    """A grey photo that has black and white in its middle, `[H, W]`: what each picture here shows."""
    values = np.asarray(photo.convert("L")).copy()
    values[180, 150], values[181, 150] = 0, 255
    return values


def measured(values: NDArray[Any], no_data: str | None = None) -> bytes:
    """Return a TIFF, with GDAL's tag where a value is declared to be none."""
    tags = ImageFileDirectory_v2()
    if no_data is not None:
        tags[GDAL_NODATA] = no_data
        tags.tagtype[GDAL_NODATA] = 2
    return encoded(Image.fromarray(values), "TIFF", tiffinfo=tags)


def corner(values: NDArray[np.float32], gap: float) -> NDArray[np.float32]:
    """Put a value on 3 × 3 pixels outside of the model's view."""
    values = values.copy()
    values[:3, :3] = gap
    return values


@pytest.mark.parametrize(
    "gap", [LOWEST, -LOWEST, -9999, -32768, 1e20, -1e34, 9.96921e36, 1e6, np.nan, np.inf, -np.inf], ids=str
)
@pytest.mark.parametrize("scale", [1, 1 / 255, 3000 / 255], ids=["0 to 255", "0 to 1", "0 to 3000"])
def test_a_gap_in_a_corner_changes_nothing_else(
    gap: float, scale: float, grey: NDArray[np.uint8], preprocessing: Preprocessing
) -> None:
    """No-data values of GDAL, NetCDF, Surfer and others, undeclared; and a few hot pixels."""
    values = grey.astype(np.float32) * np.float32(scale)

    shown = view(measured(corner(values, gap)), preprocessing)

    assert farthest(shown, view(measured(values), preprocessing)) == 0
    assert farthest(shown, plain_view(grey, preprocessing)) <= 1


@pytest.mark.parametrize("gap", [LOWEST, -9999, -32768, 1e20, np.nan], ids=str)
def test_a_gap_as_large_as_half_the_picture_leaves_the_other_half_as_it_is(
    gap: float, grey: NDArray[np.uint8], preprocessing: Preprocessing
) -> None:
    """A satellite's strip across a map. The gap itself lies beyond the end of the greys that it comes from."""
    values, expected = grey.astype(np.float32), grey.copy()
    values[:170] = gap
    expected[:170] = 255 if gap > 0 else 0

    shown = view(measured(values), preprocessing)

    assert farthest(shown, plain_view(expected, preprocessing)) <= 1


@pytest.mark.parametrize(
    "no_data", ["-9999", " 20.0", "nan", "-3.40282346638528898e+38", "-1.79769313486232e+308", "?"]
)
def test_a_declared_no_data_value_is_left_out(
    no_data: str, grey: NDArray[np.uint8], preprocessing: Preprocessing
) -> None:
    """Whatever it is, were it amid the others; a declaration that cannot be read declares nothing."""
    values = grey.astype(np.float32) + 30
    declared = float(no_data) if no_data != "?" else LOWEST
    with np.errstate(over="ignore"):
        values[:20, :20] = np.float32(declared)

    shown = view(measured(values, no_data), preprocessing)

    assert farthest(shown[:, 40:], plain_view(grey, preprocessing)[:, 40:]) <= 1


@pytest.mark.parametrize("kind", [np.int32, np.uint32])
@pytest.mark.parametrize("gap", ["lowest", "highest"])
def test_integers_with_a_gap_are_spread_without_it(
    kind: type[Any], gap: str, grey: NDArray[np.uint8], preprocessing: Preprocessing
) -> None:
    """2³¹ - 1 and 2³² - 1 are no values where all others lie together; nor are -2³¹ and, among large ones, 0."""
    limits = np.iinfo(kind)
    values = grey.astype(kind) * 1000 + 1_000_000
    values[:3, :3] = limits.min if gap == "lowest" else limits.max
    data = tiff(values.tobytes(), (grey.shape[1], grey.shape[0]), 32, sample_format=1 if kind is np.uint32 else 2)

    assert farthest(view(data, preprocessing), plain_view(grey, preprocessing)) <= 1


def test_neighbouring_large_integers_stay_apart(grey: NDArray[np.uint8], preprocessing: Preprocessing) -> None:
    """A 32-bit float holds one of 64 integers up there."""
    values = grey.astype(np.int32) + 2**30

    assert farthest(view(measured(values), preprocessing), plain_view(grey, preprocessing)) <= 1


def test_the_farthest_floats_that_are_values_do_not_overflow(
    grey: NDArray[np.uint8], preprocessing: Preprocessing
) -> None:
    values = (grey.astype(np.float64) * (1.8e30 / 255) - 0.9e30).astype(np.float32)

    assert farthest(view(measured(values), preprocessing), plain_view(grey, preprocessing)) <= 1


def test_a_negative_of_32_bits_is_turned(grey: NDArray[np.uint8], preprocessing: Preprocessing) -> None:
    """TIFF's WhiteIsZero, as for 8 and 16 bits."""
    values = (255 - grey).astype(np.float32)
    size = grey.shape[1], grey.shape[0]

    shown = view(tiff(values.tobytes(), size, 32, sample_format=3, photometric=0), preprocessing)

    assert farthest(shown, plain_view(grey, preprocessing)) <= 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: measured(np.full((40, 30), np.nan, np.float32)),
        lambda: measured(np.full((40, 30), np.inf, np.float32)),
        lambda: measured(np.full((40, 30), LOWEST, np.float32)),
        lambda: measured(np.full((40, 30), -9999, np.float32), "-9999"),
        lambda: measured(np.full((40, 30), 7, np.int32), "7"),
        lambda: measured(np.where(np.eye(40) > 0, np.nan, -np.inf).astype(np.float32)),
    ],
    ids=["NaN", "infinite", "lowest float", "declared", "declared integer", "NaN and infinite"],
)
def test_a_picture_without_any_value_is_damaged(make: Callable[[], bytes], preprocessing: Preprocessing) -> None:
    with pytest.raises(ImageError, match="none of its pixels has a value") as caught:
        decode(make(), preprocessing, MAX_PIXELS)

    assert caught.value.kind is FailureKind.DAMAGED


@pytest.mark.parametrize("gap", [None, np.nan, LOWEST])
def test_a_picture_of_one_value_is_black(gap: float | None, preprocessing: Preprocessing) -> None:
    """It is what it is: of one grey, and no failure."""
    values = np.full((400, 300), 7, np.float32)
    if gap is not None:
        values[:3, :3] = gap

    assert not view(measured(values), preprocessing).any()


def test_a_drawing_of_two_values_keeps_both(preprocessing: Preprocessing) -> None:
    """A mask: its lowest value is no gap, though it lies farther from the highest than that from itself."""
    mask = np.zeros((300, 300), np.uint8)
    mask[100:200, 100:200] = 255

    shown = view(measured(mask.astype(np.float32) / 255), preprocessing)

    assert farthest(shown, plain_view(mask, preprocessing)) <= 1


def test_a_few_bright_things_on_an_even_ground_are_seen(preprocessing: Preprocessing) -> None:
    """Less than a hundredth of the pixels, and yet all that there is."""
    sky = np.zeros((300, 300), np.uint8)
    sky[150:155, 150:155] = 255

    shown = view(measured(sky.astype(np.float32)), preprocessing)

    assert farthest(shown, plain_view(sky, preprocessing)) <= 1


@pytest.mark.parametrize("gap", [np.nan, LOWEST, -9999], ids=str)
def test_a_picture_many_of_whose_pixels_have_no_value_is_labelled_with_a_warning(
    gap: float, grey: NDArray[np.uint8], preprocessing: Preprocessing
) -> None:
    """They are black, wherever they lie: a goose with gaps on every 35th pixel looks like an armadillo."""
    values = grey.astype(np.float32)
    values.ravel()[::35] = gap

    assert decode(measured(values), preprocessing, MAX_PIXELS).warning == "3% of its pixels have no value"
    assert decode(measured(corner(grey.astype(np.float32), gap)), preprocessing, MAX_PIXELS).warning is None
