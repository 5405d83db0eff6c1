"""Damage inside a picture is never silent; what harms no pixel is no damage; a missing end marker is no failure."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.unit.worker.odd_files import jpeg_of
from tests.unit.worker.pictures import BEST, MAX_PIXELS, encoded, farthest, tiff, view
from worker.decoding import decode
from worker.failures import FailureKind, ImageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.records import Preprocessing

EOI = b"\xff\xd9"


def outcome(data: bytes, preprocessing: Preprocessing) -> str:
    """Return `ok`, `doubtful`, or the kind of failure."""
    try:
        return "doubtful" if decode(data, preprocessing, MAX_PIXELS).warning else "ok"
    except ImageError as error:
        return str(error.kind)


def overwritten(data: bytes, block: bytes, share: float = 0.5) -> bytes:
    at = int(len(data) * share)
    return data[:at] + block + data[at + len(block) :]


#: What lies in a block of a disk that was never written, and in one of another file.
ZEROS = bytes(4096)
#: A photo's file that is too small for a block of a disk to be a part of it.
SMALL_BYTES = 10_000


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 5}], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_block_of_zeros_in_a_jpeg_is_never_silent(
    share: float, mode: str, options: dict[str, int], photo: Image.Image, preprocessing: Preprocessing
) -> None:
    data = encoded(photo.convert(mode), "JPEG", quality=95, **options)

    assert outcome(overwritten(data, ZEROS, share), preprocessing) in ("doubtful", "damaged")


def test_blocks_of_zeros_in_photos_are_never_silent(photos: Path, preprocessing: Preprocessing) -> None:
    """Also where what libjpeg makes of the zeros ends, by chance, where the picture does."""
    silent = []
    dice = random.Random(3)  # noqa: S311 - the same blocks every time
    for path in sorted(photos.glob("*.jpg"))[::3]:
        data = path.read_bytes()
        scan = data.index(b"\xff\xda") + 14
        for count in (512, 4096) if len(data) > SMALL_BYTES else ():
            at = dice.randrange(scan, len(data) - count - 200)
            if outcome(data[:at] + bytes(count) + data[at + count :], preprocessing) == "ok":
                silent.append((path.name, at, count))

    assert silent == []


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_block_of_another_file_in_a_jpeg_is_never_silent(
    share: float, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    data, other = (encoded(one, "JPEG", quality=95) for one in (photo, photo.rotate(90)))

    assert outcome(overwritten(data, other[8192:12288], share), preprocessing) in ("doubtful", "damaged")


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {"quality": 90}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 95}),
        ("HEIF", {"quality": 95}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "jpeg"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("count", [512, 4096])
def test_a_block_of_zeros_in_what_is_compressed_is_never_silent(
    count: int, file_format: str, options: dict[str, object], photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """What is not compressed has no redundancy: there, zeros are black."""
    data = encoded(photo, file_format, **options)

    assert outcome(overwritten(data, bytes(count)), preprocessing) != "ok"


def with_height(jpeg: bytes, height: int) -> bytes:
    at = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2")) + 5
    return jpeg[:at] + struct.pack(">H", height) + jpeg[at + 2 :]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("factor", [1.25, 2, 20])
def test_a_header_that_tells_more_rows_than_there_are_is_damaged(
    factor: float, progressive: bool, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """What is not there would be grey, and get the label of something half grey."""
    data = encoded(photo, "JPEG", quality=95, progressive=progressive)

    assert outcome(with_height(data, int(photo.height * factor)), preprocessing) == "damaged"


def test_a_header_that_tells_a_few_rows_too_many_is_doubtful(photo: Image.Image, preprocessing: Preprocessing) -> None:
    data = encoded(photo, "JPEG", quality=95)

    assert outcome(with_height(data, photo.height + 24), preprocessing) == "doubtful"


def test_a_strip_of_a_fax_that_libtiff_complains_of_is_doubtful(
    photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """It goes on at the next line; its words are in the row."""
    data = overwritten(encoded(photo.convert("1"), "TIFF", compression="group4"), b"\x55" * 300)

    warning = decode(data, preprocessing, MAX_PIXELS).warning

    assert warning
    assert "Bad code word" in warning


def test_a_wrong_check_sum_of_sound_pixels_in_a_png_is_doubtful(
    photo: Image.Image, preprocessing: Preprocessing
) -> None:
    data = bytearray(encoded(photo, "PNG"))
    data[-16:-12] = b"\0\0\0\0"

    assert outcome(bytes(data), preprocessing) == "doubtful"
    assert farthest(view(bytes(data), preprocessing), view(encoded(photo, "PNG"), preprocessing)) == 0


def _without(data: bytes, count: int) -> tuple[bytes, bytes]:
    return data[:-count], data


def _odd_webp(picture: Image.Image) -> tuple[bytes, bytes]:
    for width in range(picture.width, 0, -1):
        data = encoded(picture.crop((0, 0, width, picture.height)), "WEBP", lossless=True)
        if struct.unpack_from("<I", data, 16)[0] % 2:
            return data[:-1], data
    raise AssertionError("no such file")


#: Files without their end, of which all rows are there.
ENDLESS: dict[str, Callable[[Image.Image], tuple[bytes, bytes]]] = {
    "JPEG without EOI": lambda p: _without(encoded(p, "JPEG"), 2),
    "JPEG without half of EOI": lambda p: _without(encoded(p, "JPEG"), 1),
    "progressive JPEG without EOI": lambda p: _without(encoded(p, "JPEG", progressive=True), 2),
    "arithmetic JPEG without EOI": lambda p: _without(jpeg_of(np.asarray(p), arithmetic=True), 2),
    "CMYK JPEG without EOI": lambda p: _without(encoded(p.convert("CMYK"), "JPEG"), 2),
    "JPEG with zeros in place of EOI": lambda p: (encoded(p, "JPEG")[:-2] + bytes(1000), encoded(p, "JPEG")),
    "PNG without IEND": lambda p: _without(encoded(p, "PNG"), 12),
    "PNG without IEND and the last check sum": lambda p: _without(encoded(p, "PNG"), 16),
    "PNG with half of IEND": lambda p: _without(encoded(p, "PNG"), 7),
    "GIF without its trailer": lambda p: _without(encoded(p, "GIF"), 1),
    "GIF without its last, empty block": lambda p: _without(encoded(p, "GIF"), 2),
    "animated GIF cut in its second frame": lambda p: (
        encoded(p, "GIF", save_all=True, append_images=[p.rotate(180)])[:-5000],
        encoded(p, "GIF", save_all=True, append_images=[p.rotate(180)]),
    ),
    "WebP without its padding": _odd_webp,
    "animated WebP cut in its second frame": lambda p: _without(
        encoded(p, "WEBP", save_all=True, append_images=[p.rotate(180)], lossless=True), 5000
    ),
    "TIFF without its second page": lambda p: _without(
        encoded(p, "TIFF", save_all=True, append_images=[p.rotate(180)]), 5000
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_missing_end_marker_is_no_failure(name: str, photo: Image.Image, preprocessing: Preprocessing) -> None:
    endless, whole = ENDLESS[name](photo)

    assert outcome(endless, preprocessing) == "ok"
    assert farthest(view(endless, preprocessing), view(whole, preprocessing)) == 0


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("lost", [6, 200, 5000])
def test_a_jpeg_that_ends_within_its_rows_is_truncated(
    lost: int, progressive: bool, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    data = encoded(photo, "JPEG", progressive=progressive)

    assert outcome(data[:-lost], preprocessing) == "truncated"


def test_a_jpeg_whose_end_was_overwritten_is_not_truncated(photo: Image.Image, preprocessing: Preprocessing) -> None:
    """Its rows are all there, and something behind them: to say that the file ends too early would be false."""
    data = encoded(photo, "JPEG", quality=95)

    assert outcome(data[:-2] + b"SEFT" * 100, preprocessing) == "doubtful"


@pytest.mark.parametrize("lost", [200, 5000])
def test_a_download_whose_rest_is_zeros_is_not_whole(
    lost: int, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """Programs that reserve a file's space before they write it leave such ones."""
    data = encoded(photo, "JPEG", quality=95)

    assert outcome(data[:-lost] + bytes(lost), preprocessing) in ("truncated", "doubtful")


def test_a_progressive_jpeg_between_two_scans_is_truncated(photo: Image.Image, preprocessing: Preprocessing) -> None:
    """All rows are there, but coarse: what is missing no decoder can tell."""
    data = encoded(photo, "JPEG", progressive=True)

    assert outcome(data[: data.rindex(b"\xff\xda")], preprocessing) == "truncated"


#: What cameras and programs write that harms nothing: zeros before the end, whatever behind it, odd markers.
HARMLESS: dict[str, Callable[[bytes], bytes]] = {
    "zeros before the end": lambda jpeg: jpeg[:-2] + bytes(2130) + EOI,
    "one zero before the end": lambda jpeg: jpeg[:-2] + b"\0" + EOI,
    "fill bytes before the end": lambda jpeg: jpeg[:-2] + b"\xff" * 30 + EOI,
    "text behind the end": lambda jpeg: jpeg + b"SEFT" * 100,
    "another end behind the end": lambda jpeg: jpeg + EOI,
    "an unknown version of JFIF": lambda jpeg: jpeg.replace(b"JFIF\0\1\1", b"JFIF\0\7\7", 1),
    "an unknown transform of Adobe's": lambda jpeg: jpeg[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x7f" + jpeg[2:],
    "a comment before the scan": lambda jpeg: jpeg.replace(b"\xff\xda", b"\xff\xfe\0\4ab\xff\xda", 1),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_harms_no_pixel_is_no_damage(name: str, photo: Image.Image, preprocessing: Preprocessing) -> None:
    plain = encoded(photo, "JPEG", quality=95)
    odd = HARMLESS[name](plain)

    assert outcome(odd, preprocessing) == "ok"
    assert farthest(view(odd, preprocessing), view(plain, preprocessing)) == 0


@pytest.mark.parametrize("file_format", BEST)
def test_flat_pictures_have_long_runs_and_are_sound(file_format: str, preprocessing: Preprocessing) -> None:
    """Whole skies, scans of white paper, night: coded, they are zeros in a row more often than photos."""
    for colour in ("white", "black", "#c0c0c0", "#102030"):
        for size in ((2000, 3000), (64, 64)):
            flat = Image.new("RGB", size, colour)
            assert outcome(encoded(flat, file_format), preprocessing) == "ok"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}], ids=str)
def test_flat_jpegs_are_sound_however_they_are_coded(options: dict[str, bool], preprocessing: Preprocessing) -> None:
    for colour in ("white", "black", "#c0c0c0"):
        picture = Image.new("RGB", (2000, 2000), colour)
        picture.paste("red", (900, 900, 1000, 1000))
        assert outcome(encoded(picture, "JPEG", **options), preprocessing) == "ok"


def test_real_photos_are_sound(photos: Path, preprocessing: Preprocessing) -> None:
    outcomes = {path.name: outcome(path.read_bytes(), preprocessing) for path in photos.glob("*.jpg")}

    assert {name: one for name, one in outcomes.items() if one != "ok"} == {}


def test_nothing_is_written_past_the_row(
    photo: Image.Image, preprocessing: Preprocessing, capfd: pytest.CaptureFixture[str]
) -> None:
    """Libraries print what they find on the terminal, without the file's name."""
    options = ({"compression": "tiff_lzw"}, {"compression": "jpeg"}, {"compression": "tiff_adobe_deflate"})
    files = [encoded(photo, "TIFF", **one) for one in options]
    files.append(encoded(photo.convert("1"), "TIFF", compression="group4"))
    files += [encoded(photo, name) for name in BEST]
    files.append(tiff(bytes(10), (100, 100), 8))
    for data in files:
        for block in (bytes(300), b"\x55" * 300, b"\xff" * 3000):
            outcome(overwritten(data, block), preprocessing)
        outcome(data[: len(data) // 2], preprocessing)
        outcome(data[: len(data) * 9 // 10], preprocessing)

    assert capfd.readouterr() == ("", "")


def test_what_libtiff_says_is_why_the_picture_failed(photo: Image.Image, preprocessing: Preprocessing) -> None:
    data = overwritten(encoded(photo, "TIFF", compression="tiff_lzw"), b"\xff" * 300)

    with pytest.raises(ImageError, match="not yet in table") as caught:
        decode(data, preprocessing, MAX_PIXELS)

    assert caught.value.kind is FailureKind.DAMAGED
