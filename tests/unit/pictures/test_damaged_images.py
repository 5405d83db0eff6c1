"""What is no picture, or no longer one: it fails with its kind, never with labels, never with another exception."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from archive.failures import FailureKind, ImageError
from pictures.decoding import decode
from tests.unit.pictures.pictures import BEST, MAX_PIXELS, encoded, png_of, tiff

if TYPE_CHECKING:
    from storage.records import Preprocessing

#: Pixels of a bomb's side: 40,000 × 40,000 black and white ones are 1.6 GB in Pillow's memory, and 195 kB in a file.
BOMB_SIDE = 40_000
BOMB_HEADER = struct.pack(">IIBBBBB", BOMB_SIDE, BOMB_SIDE, 1, 0, 0, 0, 0)

SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9"/></svg>'
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def failure(data: bytes, preprocessing: Preprocessing, max_pixels: int = MAX_PIXELS) -> FailureKind:
    """Decode what must not be decodable; return why it is not."""
    with pytest.raises(ImageError) as caught:
        decode(data, preprocessing, max_pixels)
    return caught.value.kind


@pytest.mark.parametrize("data", [b"", b"\0", b"a" * 5000, SVG, PDF, b"\xff" * 100], ids=repr)
def test_what_is_no_picture_is_not_an_image(data: bytes, preprocessing: Preprocessing) -> None:
    assert failure(data, preprocessing) is FailureKind.NOT_AN_IMAGE


def test_what_no_database_can_hold_is_shown_in_the_message() -> None:
    assert str(ImageError(FailureKind.DAMAGED, "bad tag\0: \udcff")) == r"bad tag\x00: \udcff"


def test_an_empty_file_is_said_to_be_empty(preprocessing: Preprocessing) -> None:
    with pytest.raises(ImageError, match="empty"):
        decode(b"", preprocessing, MAX_PIXELS)


@pytest.mark.parametrize("file_format", ["EPS", "PDF", "PPM", "TGA", "ICO", "PCX"])
def test_formats_that_are_not_read_are_not_an_image(
    file_format: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """Real files that Pillow could open: EPS by running a program, the others with decoders few ever looked at."""
    assert failure(encoded(photo, file_format), preprocessing) is FailureKind.NOT_AN_IMAGE


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("file_format", BEST)
def test_a_file_that_was_cut_short_is_truncated_or_damaged(
    file_format: str, share: float, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """It began as a picture, so it is not called something else; and half a picture gets no labels."""
    data = encoded(photo, file_format)

    assert failure(data[: int(len(data) * share)], preprocessing) in (FailureKind.TRUNCATED, FailureKind.DAMAGED)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize(
    ("file_format", "options"),
    [("JPEG", {"progressive": True}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})],
    ids=["progressive JPEG", "TIFF with LZW", "lossless WebP"],
)
def test_other_kinds_that_were_cut_short_are_truncated_or_damaged(
    file_format: str, options: dict[str, object], share: float, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    data = encoded(photo, file_format, **options)

    assert failure(data[: int(len(data) * share)], preprocessing) in (FailureKind.TRUNCATED, FailureKind.DAMAGED)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "BMP"])
def test_a_file_cut_in_half_is_said_to_be_truncated(
    file_format: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """The formats whose decoders tell an early end from other damage."""
    data = encoded(photo, file_format)

    assert failure(data[: len(data) // 2], preprocessing) is FailureKind.TRUNCATED


def test_a_png_whose_data_is_overwritten_is_damaged(photo: Image.Image, preprocessing: Preprocessing) -> None:
    data = bytearray(encoded(photo, "PNG"))
    data[len(data) // 2 : len(data) // 2 + 1000] = bytes(1000)

    assert failure(bytes(data), preprocessing) is FailureKind.DAMAGED


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """Small files that say, and in PNG's case hold, far more pixels than any limit allows."""
    rows = zlib.compressobj(9)
    row = b"\0" + bytes(BOMB_SIDE // 8)
    compressed = b"".join(rows.compress(row * 100) for _ in range(BOMB_SIDE // 100)) + rows.flush()
    jpeg = encoded(Image.new("RGB", (8, 8)), "JPEG")
    size_at = jpeg.index(b"\xff\xc0") + 5
    gif = encoded(Image.new("L", (8, 8)), "GIF")
    return {
        "PNG": png_of(BOMB_HEADER, compressed),
        "JPEG": jpeg[:size_at] + struct.pack(">HH", 65_000, 65_000) + jpeg[size_at + 4 :],
        "GIF": gif[:6] + struct.pack("<HH", 65_000, 65_000) + gif[10:],
        "TIFF": tiff(b"\0", (BOMB_SIDE, BOMB_SIDE), 8),
    }


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "TIFF"])
def test_a_decompression_bomb_is_too_large(
    file_format: str, bombs: dict[str, bytes], preprocessing: Preprocessing
) -> None:
    assert failure(bombs[file_format], preprocessing, 100_000_000) is FailureKind.TOO_LARGE


def test_a_decompression_bomb_is_not_decoded(preprocessing: Preprocessing) -> None:
    """It is refused by its header: that rubbish follows is not even seen."""
    bomb = png_of(BOMB_HEADER, b"no stream of zlib's")

    assert failure(bomb, preprocessing, 100_000_000) is FailureKind.TOO_LARGE


@pytest.mark.parametrize("file_format", BEST)
def test_one_pixel_over_the_limit_is_too_large(
    file_format: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    allowed = photo.width * photo.height - 1

    assert failure(encoded(photo, file_format), preprocessing, allowed) is FailureKind.TOO_LARGE


@pytest.mark.parametrize("file_format", BEST)
def test_as_many_pixels_as_the_limit_are_decoded(
    file_format: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    decoded = decode(encoded(photo, file_format), preprocessing, photo.width * photo.height)

    assert decoded.pixels.shape == (224, 224, 3)


SMALL = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))
SEEDS = {name: encoded(SMALL, name) for name in BEST} | {
    "animated GIF": encoded(SMALL, "GIF", save_all=True, append_images=[SMALL.rotate(90), SMALL.rotate(180)]),
    "animated WebP": encoded(SMALL, "WEBP", save_all=True, append_images=[SMALL.rotate(90)]),
    "APNG": encoded(SMALL, "PNG", save_all=True, append_images=[SMALL.rotate(90)]),
    "MPO": encoded(SMALL, "MPO", save_all=True, append_images=[SMALL]),
    "progressive JPEG": encoded(SMALL, "JPEG", progressive=True),
    "CMYK JPEG": encoded(SMALL.convert("CMYK"), "JPEG"),
    "palette PNG": encoded(SMALL.quantize(16), "PNG", transparency=3),
    "16-bit PNG": encoded(Image.fromarray(np.arange(768, dtype=np.uint16).reshape(24, 32)), "PNG"),
    "float TIFF": encoded(Image.fromarray(np.arange(768, dtype=np.float32).reshape(24, 32)), "TIFF"),
    "LZW TIFF": encoded(SMALL, "TIFF", compression="tiff_lzw"),
    "RGBA WebP": encoded(SMALL.convert("RGBA"), "WEBP"),
}


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """The bytes of a real picture with some of them changed, cut out, put in or repeated."""
    data = bytearray(SEEDS[draw(st.sampled_from(sorted(SEEDS)))])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)) | st.integers(0, min(63, max(len(data) - 1, 0))))
        count = draw(st.integers(0, 16))
        change = draw(st.sampled_from(["set", "insert", "delete", "repeat", "cut"]))
        if change == "set":
            new = draw(st.binary(min_size=1, max_size=4))
            data[at : at + len(new)] = new
        elif change == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif change == "delete":
            del data[at : at + count]
        elif change == "repeat":
            data[at:at] = data[at : at + count] * 20
        else:
            del data[at:]
    return bytes(data)


@settings(max_examples=300, deadline=None)
@given(data=mutations())
def test_a_mutated_picture_is_decoded_or_fails_as_an_image(data: bytes, preprocessing: Preprocessing) -> None:
    """Whatever a disk, a network or a joker did to a file, it costs that image at most."""
    try:
        view = decode(data, preprocessing, 1_000_000).pixels
        seen = f"{view.dtype} {view.shape}"
    except ImageError as error:
        seen = error.kind

    assert seen in ("uint8 (224, 224, 3)", "not_an_image", "truncated", "damaged", "too_large")
