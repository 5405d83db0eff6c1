"""Transparency lies on white, however a file says what is transparent."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.unit.pictures.odd_files import png_with
from tests.unit.pictures.pictures import encoded, farthest, plain_view, png_of, view

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


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_a_grey_of_few_bits_that_is_declared_transparent_is_white(
    bits: int, share: float, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    highest = (1 << bits) - 1
    transparent = int(highest * share)
    levels = np.asarray(photo.convert("L")) >> (8 - bits)
    each = 8 // bits
    levels = levels[:, : levels.shape[1] // each * each]
    height, width = levels.shape
    packed = np.zeros((height, width // each), np.uint8)
    for n in range(each):
        packed |= levels[:, n::each] << (8 - bits * (n + 1))
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    data = png_of(struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0), zlib.compress(rows))

    seen = view(png_with(data, b"tRNS", struct.pack(">H", transparent)), preprocessing)

    shown = np.where(levels == transparent, 255, levels * (255 // highest)).astype(np.uint8)
    assert farthest(seen, plain_view(shown, preprocessing)) <= 1


def test_a_bitmap_with_room_for_transparency_and_none_in_it_shows_its_colours(
    photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """As Windows writes pictures of its screen: every alpha is 0."""
    empty = photo.convert("RGBA")
    empty.putalpha(0)
    pixels = empty.transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGRA")
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 124, *photo.size, 1, 32, 3, len(pixels), 0, 0, 0, 0) + masks + bytes(68)
    data = b"BM" + struct.pack("<IHHI", 14 + len(header) + len(pixels), 0, 0, 14 + len(header)) + header + pixels

    assert farthest(view(data, preprocessing), view(encoded(photo, "BMP"), preprocessing)) == 0
