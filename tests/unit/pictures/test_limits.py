"""A picture that would cost far more than its pixels is refused before it does, and the limit is named."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from archive.failures import FailureKind, ImageError
from pictures.decoding import decode
from pictures.formats.jpeg import scans_of
from pictures.limits import AVIF_MAX_SIDE
from tests.processes import in_a_process
from tests.unit.pictures.pictures import encoded, view

if TYPE_CHECKING:
    from storage.records import Preprocessing

#: As many as settings may allow: every decoder's own limit lies below.
ANY_PIXELS = 10**12
DEFAULT_PIXELS = 100_000_000


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg_of_scans(side: int, scans: int, frame: int = 0xC2) -> bytes:
    """Return a grey, square JPEG whose scans say no more than that nothing follows: 460 bytes each at 100 megapixels.

    Source: ITU-T T.81, annex G: an EOB run of 32,767 blocks is one code and 14 bits.
    """
    blocks = (-(-side // 8)) ** 2
    runs = -(-blocks // 32767)
    bits = "0" + "1" * 14
    packed = int((bits * runs).ljust(-(-15 * runs // 8) * 8, "1"), 2).to_bytes(-(-15 * runs // 8), "big")
    dc_scan = segment(0xDA, bytes([1, 1, 0x00, 0, 0, 0])) + bytes(-(-blocks // 8))
    header = (
        segment(0xDB, bytes([0] + [1] * 64))
        + segment(frame, struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0]))
        + segment(0xC4, bytes([0x00, 1] + [0] * 16))  # one code, for a difference of no bits
        + segment(0xC4, bytes([0x10, 1] + [0] * 15 + [0xE0]))  # one code, for the longest run
    )
    ac_scans = [
        segment(0xDA, bytes([1, 1, 0x00, at % 63 + 1, at % 63 + 1, 0])) + packed.replace(b"\xff", b"\xff\0")
        for at in range(scans - 1)
    ]
    return b"\xff\xd8" + header + dc_scan + b"".join(ac_scans) + b"\xff\xd9"


def refusal(data: bytes, preprocessing: Preprocessing, max_pixels: int) -> str:
    """Decode what is too large; return the limit that the error names."""
    with pytest.raises(ImageError) as caught:
        decode(data, preprocessing, max_pixels)
    assert caught.value.kind is FailureKind.TOO_LARGE
    return str(caught.value)


@pytest.mark.parametrize("frame", [0xC2, 0xCA], ids=["Huffman", "arithmetic"])
def test_a_large_jpeg_of_a_thousand_scans_is_too_large(frame: int, preprocessing: Preprocessing) -> None:
    """0.4 MB, and 22 s of decoding for what is grey."""
    data = jpeg_of_scans(9992, 882, frame)
    assert len(data) < 500_000

    said = refusal(data, preprocessing, DEFAULT_PIXELS)

    assert said.startswith("9992 × 9992 pixels in 882 scans; pixels times scans may be at most 3000 million")


def test_a_small_jpeg_of_a_thousand_scans_is_labelled(preprocessing: Preprocessing) -> None:
    """What counts is what it costs: a fiftieth of a second."""
    data = jpeg_of_scans(400, 882)

    assert scans_of(data) == 882
    assert view(data, preprocessing).shape == (224, 224, 3)


@pytest.mark.parametrize("options", [{"progressive": True}, {"progressive": True, "subsampling": 0}, {}], ids=str)
def test_the_scans_of_a_photo_are_few(options: dict[str, object], photo: Image.Image) -> None:
    assert scans_of(encoded(photo, "JPEG", **options)) == (10 if options else 1)


@pytest.mark.parametrize("progressive", [True, False])
def test_what_is_no_scan_of_the_picture_does_not_count(progressive: bool, photo: Image.Image) -> None:
    """A film behind the picture, as phones put it there; a thumbnail within; and what a comment holds."""
    data = encoded(photo, "JPEG", progressive=progressive)
    thumbnail = segment(0xE1, b"Exif\0\0" + encoded(photo.resize((80, 100)), "JPEG", progressive=True))
    film = b"\xff\xda\0\x08" * 10_000

    full = data[:2] + thumbnail + segment(0xFE, film[:40_000]) + data[2:] + film

    assert scans_of(full) == scans_of(data)


def test_a_marker_that_no_decoder_heeds_hides_no_scan() -> None:
    """It has no length: what seems to be one would lead behind the scans that follow."""
    data = jpeg_of_scans(400, 100)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)

    assert scans_of(data[:second] + b"\xff\x01\xff\xff" + data[second + 1 :]) == 100


@pytest.mark.parametrize("cut", range(0, 700, 7))
def test_scans_are_counted_in_whatever_is_left_of_a_file(cut: int) -> None:
    assert scans_of(jpeg_of_scans(64, 5)[:cut]) <= 5


def with_size(data: bytes, width: int, height: int) -> bytes:
    """Return a HEIC or AVIF whose header says that it has this size."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


@pytest.mark.parametrize(
    ("file_format", "width", "height", "limit"),
    [
        ("AVIF", 18_000, 18_000, "libavif takes 268 million"),
        ("AVIF", AVIF_MAX_SIDE + 1, 16, f"and {AVIF_MAX_SIDE} to a side"),
        ("HEIF", 33_000, 33_000, "libheif takes 1073 million"),
    ],
)
def test_a_limit_of_the_decoders_own_is_named(
    file_format: str, width: int, height: int, limit: str, preprocessing: Preprocessing
) -> None:
    """With the setting raised: it is no damage that the file has."""
    data = with_size(encoded(Image.new("RGB", (64, 64)), file_format), width, height)

    said = refusal(data, preprocessing, ANY_PIXELS)

    assert said.startswith(f"{width} × {height} pixels; ")
    assert limit in said


@pytest.mark.parametrize("file_format", ["AVIF", "HEIF"])
@pytest.mark.parametrize("side", [12_000, 18_000, 33_000, 100_000])
def test_beyond_the_setting_the_setting_is_named_whatever_the_decoder_would_say(
    file_format: str, side: int, preprocessing: Preprocessing
) -> None:
    data = with_size(encoded(Image.new("RGB", (64, 64)), file_format), side, side)

    assert "NIGHTLABEL_MAX_MEGAPIXELS allows 100 million" in refusal(data, preprocessing, DEFAULT_PIXELS)


def tiff_of_one_tile(size: tuple[int, int], tile: int) -> bytes:
    """Return a grey TIFF in one deflated tile, of which the picture shows a corner."""
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(bytes(tile * 8)) for _ in range(tile // 8)) + packer.flush()
    fields = (
        *((256, 4, size[0]), (257, 4, size[1]), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1)),
        *((322, 4, tile), (323, 4, tile), (324, 4, 8), (325, 4, len(pixels))),
    )
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in fields)
    pixels += bytes(len(pixels) % 2)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", 10) + entries + bytes(4)


def test_a_tile_that_is_far_larger_than_its_picture_is_too_large(preprocessing: Preprocessing) -> None:
    """Half a megapixel, 1.6 GB and 4 s of decoding."""
    said = refusal(tiff_of_one_tile((700, 700), 40_000), preprocessing, DEFAULT_PIXELS)

    assert said == "its tiles have 40000 × 40000 pixels; NIGHTLABEL_MAX_MEGAPIXELS allows 100 million"


def test_a_tile_that_is_somewhat_larger_than_its_picture_is_decoded(preprocessing: Preprocessing) -> None:
    assert not view(tiff_of_one_tile((700, 700), 1024), preprocessing).any()


_THREADS = """
import json, os, sys, threading, time
os.sched_getaffinity = lambda pid: set(range(8))  # as on a machine of eight CPUs
from storage.records import Preprocessing
from pictures.decoding import decode

data = open(sys.argv[1], "rb").read()
most, done = 0, False

def watch():
    global most
    while not done:
        most = max(most, len(os.listdir("/proc/self/task")) - 1)  # this one is not the decoder's
        time.sleep(0.001)

before = len(os.listdir("/proc/self/task"))
watching = threading.Thread(target=watch)
watching.start()
decode(data, Preprocessing(resize_size=256, crop_size=224, interpolation="bilinear", mean=(), std=()), 10**9)
done = True
watching.join()
print(json.dumps(most - before))
"""


#: Options with which the slow encoders are quick.
QUICKLY: dict[str, dict[str, object]] = {"AVIF": {"speed": 10}, "HEIF": {"enc_params": {"preset": "ultrafast"}}}


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "HEIF in tiles"])
def test_a_decoder_starts_no_more_than_one_thread_beside_the_one_that_waits_for_it(
    file_format: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Not one a CPU, in each of as many workers: libde265 has one of its own, whatever it is told."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1536, 1536, 3), dtype=np.uint8))
    if file_format == "HEIF in tiles":
        file = io.BytesIO()
        pillow_heif.from_pillow(noise).save(file, quality=50, tile_size=512, **QUICKLY["HEIF"])
        data = file.getvalue()
    else:
        data = encoded(noise, file_format, **QUICKLY.get(file_format, {}))
    path = tmp_path_factory.mktemp("threads") / "picture"
    path.write_bytes(data)

    assert in_a_process(_THREADS, str(path)) <= 1


def test_costs_are_asked_before_anything_is_decoded(preprocessing: Preprocessing) -> None:
    """What is beyond the header is not even looked at."""
    bomb = jpeg_of_scans(9992, 882)
    scan = bomb.index(b"\xff\xda")

    assert "scans" in refusal(bomb[:scan] + b"\xff\xda\0\x02" * 40, preprocessing, DEFAULT_PIXELS)


def test_strips_that_lie_over_each_other_are_not_unpacked_again_and_again(preprocessing: Preprocessing) -> None:
    """Each of 20,000 has all of a megabyte, and unpacks to a gigabyte; the picture has 160,000 pixels."""
    strips, packer = 20_000, zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(10_000_000)) for _ in range(100)) + packer.flush()
    places_at = 8 + len(packed) + len(packed) % 2
    arrays = struct.pack("<I", 8) * strips + struct.pack("<I", len(packed)) * strips
    fields = (
        *((256, 4, 1, 8), (257, 4, 1, strips), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)),
        *((273, 4, strips, places_at), (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, strips, places_at + 4 * strips)),
    )
    entries = b"".join(struct.pack("<HHII", *field) for field in fields)
    directory = struct.pack("<H", len(fields)) + entries + bytes(4)
    data = (
        b"II*\0" + struct.pack("<I", places_at + len(arrays)) + packed.ljust(places_at - 8, b"\0") + arrays + directory
    )

    said = refusal(data, preprocessing, DEFAULT_PIXELS)

    assert said.startswith("its strips or tiles, which overlap, add up to ")
