"""Transparency lies on white, however a file says what is transparent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.unit.worker.pictures import encoded, farthest, plain_view, view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from storage.records import Preprocessing

#: What is written, may differ by rounding in the blend and by rounding in the resize.
ROUNDING = 2


def slope(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Opacity from 0 on the left to 255 on the right."""
    width, height = size
    return np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), (height, width))


def on_white(colours: NDArray[np.uint8], opacity: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blend `[H, W, 3]` with white, by opacity `[H, W]`. Source: Porter and Duff's «over»."""
    share = opacity[..., None] / 255
    return np.asarray(np.round(colours * share + 255 * (1 - share)), dtype=np.uint8)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_a_half_transparent_picture_is_seen_on_white(
    file_format: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    opacity = slope(photo.size)
    picture = photo.copy()
    picture.putalpha(Image.fromarray(opacity))

    shown = view(encoded(picture, file_format, **({"lossless": True} if file_format == "WEBP" else {})), preprocessing)

    assert farthest(shown, plain_view(on_white(np.asarray(photo), opacity), preprocessing)) <= ROUNDING


def test_a_half_transparent_grey_picture_is_seen_on_white(photo: Image.Image, preprocessing: Preprocessing) -> None:
    opacity = slope(photo.size)
    picture = photo.convert("L")
    picture.putalpha(Image.fromarray(opacity))

    shown = view(encoded(picture, "PNG"), preprocessing)

    expected = on_white(np.asarray(photo.convert("L").convert("RGB")), opacity)
    assert farthest(shown, plain_view(expected, preprocessing)) <= ROUNDING


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_a_palettes_transparent_colour_is_white(
    file_format: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """A logo: where its palette says «nothing», a viewer shows white, not the colour that happens to be there."""
    palette = photo.quantize(16)
    indexes = np.asarray(palette)
    nothing = int(np.bincount(indexes.ravel()).argmax())
    expected = np.asarray(palette.convert("RGB")).copy()
    expected[indexes == nothing] = 255

    shown = view(encoded(palette, file_format, transparency=nothing), preprocessing)

    assert farthest(shown, plain_view(expected, preprocessing)) == 0


def test_a_palette_whose_colours_are_half_transparent_is_seen_on_white(
    photo: Image.Image, preprocessing: Preprocessing
) -> None:
    palette = photo.quantize(16)
    opacities = np.arange(16, dtype=np.uint8) * 17
    expected = on_white(np.asarray(palette.convert("RGB")), opacities[np.asarray(palette)])

    shown = view(encoded(palette, "PNG", transparency=opacities.tobytes()), preprocessing)

    assert farthest(shown, plain_view(expected, preprocessing)) <= ROUNDING


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_colour_that_is_declared_transparent_is_white(
    mode: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """PNG's tRNS for pictures without a palette: one colour means «nothing»."""
    picture = photo.convert(mode)
    picture.paste(0, (50, 50, 250, 250))
    expected = np.asarray(picture.convert("RGB")).copy()
    expected[(expected == 0).all(axis=-1)] = 255

    shown = view(encoded(picture, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0), preprocessing)

    assert farthest(shown, plain_view(expected, preprocessing)) == 0
