"""Damage inside a picture is never silent; what harms no pixel is no damage; a missing end marker is no failure."""

from __future__ import annotations

import random
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from archive.failures import FailureKind, ImageError
from pictures.decoding import decode
from tests.unit.pictures.odd_files import jpeg_of, png_with
from tests.unit.pictures.pictures import BEST, MAX_PIXELS, encoded, farthest, png_of, tiff, view

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

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


#: How a PNG's rows lie in seven passes: where each begins, and how far its pixels lie from each other.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png_of_rows(values: NDArray[np.uint8], share: float, *, interlaced: bool = False) -> bytes:
    """Return a PNG, sound by all its check sums, of which only this share of the rows was ever written."""
    height, width, _ = values.shape
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = [b"\0" + row.tobytes() for left, top, right, down in passes for row in values[top::down, left::right]]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    return png_of(header, zlib.compress(b"".join(rows[: int(share * len(rows))])))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("share", "expected"), [(0.02, "damaged"), (0.5, "damaged"), (0.95, "doubtful"), (1, "ok")])
def test_a_png_of_fewer_rows_than_its_header_tells_is_never_silent(
    share: float, expected: str, interlaced: bool, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """Its decoder takes the end of what is packed for the picture's, and leaves the other rows black."""
    assert outcome(png_of_rows(np.asarray(photo), share, interlaced=interlaced), preprocessing) == expected


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_a_png_that_is_black_below_has_all_its_rows(
    mode: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    picture = photo.copy()
    picture.paste("black", (0, photo.height // 2, photo.width, photo.height))

    assert outcome(encoded(picture.convert(mode), "PNG"), preprocessing) == "ok"


def test_no_picture_that_lacks_rows_is_said_to_have_all_of_them(
    photo: Image.Image, preprocessing: Preprocessing
) -> None:
    data = png_of_rows(np.asarray(photo), 0.999)

    assert decode(data, preprocessing, MAX_PIXELS).warning == "its data ends after 99% of its rows"


def test_a_wrong_check_sum_behind_the_rows_of_a_png_is_doubtful(
    photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """An encoder's mistake: the rows are all there, and viewers show them."""
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(photo))
    header = struct.pack(">IIBBBBB", *photo.size, 8, 2, 0, 0, 0)
    data = png_of(header, zlib.compress(rows)[:-4] + b"\1\2\3\4")

    assert outcome(data, preprocessing) == "doubtful"
    assert farthest(view(data, preprocessing), view(encoded(photo, "PNG"), preprocessing)) == 0


def test_a_png_without_the_palette_that_its_pixels_name_is_damaged(
    photo: Image.Image, preprocessing: Preprocessing
) -> None:
    """Its decoder would take numbers of colours for greys."""
    data = encoded(photo.convert("P"), "PNG")
    at = data.index(b"PLTE") - 4
    end = at + 12 + int.from_bytes(data[at : at + 4], "big")

    assert outcome(data[:at] + data[end:], preprocessing) == "damaged"


@pytest.mark.parametrize("body", [b"", b"\0\1", bytes(5)])
def test_a_transparent_colour_that_is_cut_short_costs_no_picture(
    body: bytes, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    assert outcome(png_with(encoded(photo, "PNG"), b"tRNS", body), preprocessing) == "ok"


def tiff_of_strips(photo: Image.Image, strips: int, *, lost: int) -> bytes:
    """Return an uncompressed TIFF of this many strips, the last of which lie nowhere."""
    rows = -(-photo.height // strips)
    written = strips - lost
    pixels = photo.convert("L").tobytes()
    places = [8 + number * rows * photo.width for number in range(written)]
    arrays = struct.pack(f"<{written}I", *places) + struct.pack(f"<{written}I", *[rows * photo.width] * written)
    at = 8 + len(pixels) + len(pixels) % 2
    fields = (
        *((256, 4, 1, photo.width), (257, 4, 1, photo.height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)),
        *((273, 4, written, at), (277, 3, 1, 1), (278, 4, 1, rows), (279, 4, written, at + 4 * written)),
    )
    entries = b"".join(struct.pack("<HHII", *field) for field in fields)
    directory = struct.pack("<H", len(fields)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", at + len(arrays)) + pixels.ljust(at - 8, b"\0") + arrays + directory


@pytest.mark.parametrize(("lost", "expected"), [(0, "ok"), (1, "doubtful"), (10, "damaged")])
def test_a_tiff_of_fewer_strips_than_its_rows_need_is_never_silent(
    lost: int, expected: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    assert outcome(tiff_of_strips(photo, 20, lost=lost), preprocessing) == expected


@pytest.mark.parametrize(("more", "expected"), [(1.05, "doubtful"), (2, "damaged")])
def test_a_tiff_whose_jpeg_has_fewer_rows_than_it_tells_is_never_silent(
    more: float, expected: str, photo: Image.Image, preprocessing: Preprocessing
) -> None:
    data = bytearray(encoded(photo.convert("L"), "TIFF", compression="jpeg", strip_size=10**7))
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        if struct.unpack_from("<H", data, entry)[0] in (257, 278):  # the height, and the rows of a strip
            struct.pack_into("<HII", data, entry + 2, 4, 1, int(photo.height * more))

    assert outcome(bytes(data), preprocessing) == expected


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
