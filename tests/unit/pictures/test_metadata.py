"""Metadata never costs a picture: broken, huge or a bomb, its file is seen as the one without it is."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pictures.decoding import decode
from pictures.formats import strip_metadata
from pictures.formats.orientation import from_exif
from pictures.formats.stripped import MOST_PARTS
from tests.unit.pictures.odd_files import chunk, gif_with, jpeg_with, png_with, tiff_with, webp_with, with_exif
from tests.unit.pictures.pictures import BEST, MAX_PIXELS, encoded, farthest, view

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Preprocessing

SIDEWAYS = 6
#: EXIF's Orientation, of two bytes, in one entry of TIFF's.
ORIENTATION = struct.pack("<HHIHH", 0x0112, 3, 1, SIDEWAYS, 0)
#: Blocks of EXIF that tell no orientation.
BROKEN = {
    "nothing": b"",
    "no TIFF header": b"garbage, no TIFF header",
    "a header alone": b"II*\0\x08\0\0\0",
    "cut short in its first entry": b"II*\0\x08\0\0\0\1\0" + ORIENTATION[:7],
    "a directory beyond its end": b"MM\0*\xff\xff\xff\xf0",
    "BigTIFF": b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1) + ORIENTATION + bytes(16),
    "more entries than it has": b"II*\0\x08\0\0\0\xff\xff" + bytes(40),
    "an orientation in letters": b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHI", 0x0112, 2, 4) + b"six\0" + bytes(4),
    "an orientation that is none": b"II*\0\x08\0\0\0\1\0" + ORIENTATION.replace(b"\6", b"\x63") + bytes(4),
}
#: A good orientation, and rubbish around it.
SIDEWAYS_AND_BROKEN = {
    "cut short behind its orientation": b"II*\0\x08\0\0\0\x09\0" + ORIENTATION + b"\x10\1",
    "with pointers to nowhere": b"II*\0\x08\0\0\0\3\0"
    + ORIENTATION
    + struct.pack("<HHII", 0x8769, 4, 1, 0xFFFFFFFF) * 2
    + b"\xff" * 4,
}
UPRIGHT_EXIF = b"II*\0\x08\0\0\0\1\0" + ORIENTATION.replace(b"\6", b"\1") + bytes(4)
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")


@pytest.fixture(scope="module")
def small(photo: Image.Image) -> Image.Image:
    return photo.resize((90, 112))


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("file_format", FORMATS)
def test_an_exif_that_cannot_be_parsed_leaves_the_picture_as_it_is(
    file_format: str, broken: str, small: Image.Image, preprocessing: Preprocessing
) -> None:
    data = with_exif(small, file_format, BROKEN[broken])
    decoded = decode(data, preprocessing, MAX_PIXELS)

    assert (decoded.width, decoded.height, decoded.warning) == (*small.size, None)
    assert (
        farthest(decoded.pixels.astype(np.int16), view(encoded(small, file_format, **BEST[file_format]), preprocessing))
        == 0
    )


@pytest.mark.parametrize("block", SIDEWAYS_AND_BROKEN)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_is_heeded_though_the_rest_is_broken(
    file_format: str, block: str, small: Image.Image, preprocessing: Preprocessing
) -> None:
    decoded = decode(with_exif(small, file_format, SIDEWAYS_AND_BROKEN[block]), preprocessing, MAX_PIXELS)

    assert (decoded.height, decoded.width) == small.size


@pytest.mark.parametrize(
    "text", [b"\nexif\n  4\nzz", b"\nexif\n99999\n" + b"49492a00" * 3, b"no lines at all", b"\xff" * 99]
)
@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_imagemagicks_raw_profile_may_be_rubbish(
    kind: bytes, text: bytes, small: Image.Image, preprocessing: Preprocessing
) -> None:
    head = {b"tEXt": b"\0", b"zTXt": b"\0\0", b"iTXt": b"\0\1\0\0\0"}[kind]
    body = text if kind == b"tEXt" else zlib.compress(text)
    plain = encoded(small, "PNG")

    shown = view(png_with(plain, kind, b"Raw profile type exif" + head + body), preprocessing)

    assert farthest(shown, view(plain, preprocessing)) == 0


def test_imagemagicks_raw_profile_tells_the_orientation(small: Image.Image, preprocessing: Preprocessing) -> None:
    block = b"Exif\0\0II*\0\x08\0\0\0\1\0" + ORIENTATION + bytes(4)
    text = b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())
    data = png_with(encoded(small, "PNG"), b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))

    decoded = decode(data, preprocessing, MAX_PIXELS)

    assert (decoded.height, decoded.width) == small.size


def test_an_exif_that_a_viewer_reads_is_read_the_same() -> None:
    """In both orders of bytes, as Pillow writes it."""
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x010F], exif[0x0112] = "maker", orientation
        assert from_exif(exif.tobytes()) == orientation
        exif.endian = ">"
        assert from_exif(exif.tobytes()) == orientation


def odd_metadata(picture: Image.Image) -> dict[str, tuple[bytes, bytes]]:
    """Return files that Pillow, or what lies below it, stumbles over, each with its plain twin."""
    names = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
    jpeg, png, webp, gif, tiff, bmp = (encoded(picture, name, **BEST[name]) for name in names)
    index = b"MPF\0II*\0\x08\0\0\0\3\0" + b"\xff" * 36
    return {
        "JPEG, index of pictures that is rubbish": (jpeg_with(jpeg, 0xE2, index), jpeg),
        "JPEG, index of pictures cut short": (jpeg_with(jpeg, 0xE2, b"MPF\0MM"), jpeg),
        "JPEG, Photoshop's block cut short": (jpeg_with(jpeg, 0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0"), jpeg),
        "JPEG, Photoshop's block of no length": (jpeg_with(jpeg, 0xED, b"Photoshop 3.0\x008BIM\4"), jpeg),
        "JPEG, a profile's piece of nothing": (jpeg_with(jpeg, 0xE2, b"ICC_PROFILE\0"), jpeg),
        "JPEG, JFIF cut short": (jpeg_with(jpeg[:2] + jpeg[20:], 0xE0, b"JFIF\0"), jpeg),
        "JPEG, Adobe cut short": (jpeg_with(jpeg, 0xEE, b"Adobe\0"), jpeg),
        "JPEG, XMP that is no text": (jpeg_with(jpeg, 0xE1, b"http://ns.adobe.com/xap/1.0/\0\xff\xfe<"), jpeg),
        "JPEG, thousand comments": (jpeg[:2] + (b"\xff\xfe\xff\xff" + b"c" * 65533) * 1000 + jpeg[2:], jpeg),
        "JPEG, a program's segment of no length": (jpeg[:2] + b"\xff\xe5\0\0" + jpeg[2:], jpeg),
        "JPEG, a program's segment beyond the file": (jpeg[:2] + b"\xff\xe5\xff\xff" + jpeg[2:], jpeg),
        "JPEG, begun twice": (b"\xff\xd8" + jpeg, jpeg),
        "JPEG, a broken EXIF before a good one": (
            jpeg_with(with_exif(picture, "JPEG", UPRIGHT_EXIF), 0xE1, b"Exif\0\0garbage"), jpeg,
        ),
        "JPEG, rubbish between two segments": (jpeg[:20] + b"rubbish" + jpeg[20:], jpeg),
        "PNG, profile by no known method": (png_with(png, b"iCCP", b"name\0\7rubbish"), png),
        "PNG, profile without a name": (png_with(png, b"iCCP", b"x" * 90), png),
        "PNG, empty profile": (png_with(png, b"iCCP", b""), png),
        "PNG, text by no known method": (png_with(png, b"zTXt", b"key\0\7rubbish"), png),
        "PNG, international text cut short": (png_with(png, b"iTXt", b"key\0"), png),
        "PNG, resolution cut short": (png_with(png, b"pHYs", b"\0\0"), png),
        "PNG, animation cut short": (png_with(png, b"acTL", b"\0\0\0\1"), png),
        "PNG, frame out of order": (png_with(png, b"fcTL", b"\0\0\0\x09" + bytes(22)), png),
        "PNG, wrong check sum of a text": (png[:33] + chunk(b"tEXt", b"a\0b")[:-4] + b"zzzz" + png[33:], png),
        "PNG, name of a chunk that is no letters": (png[:33] + chunk(b"\xff\0 \n", b"abcd") + png[33:], png),
        "PNG, length of a text beyond the file": (png[:33] + b"\x7f\0\0\0tEXta\0b" + png[33:], png),
        "PNG, chromaticities cut short": (png_with(png, b"cHRM", b"\0"), png),
        "WebP, XMP that is no text": (webp_with(webp, b"XMP ", b"\xff\xfe", picture.size), webp),
        "WebP, profile that is none": (webp_with(webp, b"ICCP", b"\0", picture.size), webp),
        "WebP, length of the whole too short": (webp[:4] + struct.pack("<I", 12) + webp[8:], webp),
        "WebP, length of the whole too long": (webp[:4] + struct.pack("<I", 1 << 30) + webp[8:], webp),
        "GIF, a megabyte of comments": (gif_with(gif, 0xFE, b"comment " * 131072), gif),
        "GIF, a program's block of nothing": (gif_with(gif, 0xFF, b""), gif),
        "BMP, resolution and colours that are rubbish": (bmp[:38] + b"\xff" * 16 + bmp[54:], bmp),
        "BMP, length of the file of 0": (bmp[:2] + bytes(4) + bmp[6:], bmp),
        "TIFF, profile beyond the file": (tiff_with(tiff, 34675, 7, 1 << 20, b"\xff\xff\xff\0"), tiff),
        "TIFF, pictures within beyond the file": (tiff_with(tiff, 330, 4, 1, b"\xff\xff\xff\x7f"), tiff),
        "TIFF, XMP beyond the file": (tiff_with(tiff, 700, 1, 1 << 30, b"\xff\xff\xff\x7f"), tiff),
        "TIFF, EXIF at an odd place": (tiff_with(tiff, 34665, 4, 1, b"\3\0\0\0"), tiff),
        "TIFF, EXIF beyond the file": (tiff_with(tiff, 34665, 4, 1, b"\xff\xff\xff\xff"), tiff),
        "TIFF, Photoshop's block beyond the file": (tiff_with(tiff, 34377, 7, 1 << 29, b"\0\0\0\x7f"), tiff),
        "TIFF, resolution of no kind": (tiff_with(tiff, 282, 99, 7, b"\0\0\0\x7f"), tiff),
        "TIFF, description that is no text": (tiff_with(tiff, 270, 2, 4, b"\xff\xfe\xfd\xfc"), tiff),
        "TIFF, orientation in letters": (tiff_with(tiff, 274, 2, 4, b"six\0"), tiff),
    }  # fmt: skip


def test_odd_metadata_of_every_kind_leaves_the_picture_as_it_is(
    small: Image.Image, preprocessing: Preprocessing
) -> None:
    wrong = {}
    for name, (odd, plain) in odd_metadata(small).items():
        try:
            decoded = decode(odd, preprocessing, MAX_PIXELS)
        except Exception as error:  # noqa: BLE001 - whatever it is: all are to be named
            wrong[name] = repr(error)
            continue
        if farthest(decoded.pixels.astype(np.int16), view(plain, preprocessing)) or decoded.warning:
            wrong[name] = f"it is seen differently; {decoded.warning}"

    assert wrong == {}


#: 100 MB of zeros in 100 kB, packed as a profile or a text.
BOMB_BYTES = 100_000_000
LARGE_BYTES = 1_500_000
PEAK_BYTES = 400_000_000


def large(picture: Image.Image) -> dict[str, tuple[bytes, bytes]]:
    """Return files with more metadata than any decoder's limit, each with its plain twin."""
    rubbish = random.Random(1).randbytes(LARGE_BYTES)  # noqa: S311 - the same every time
    bomb = zlib.compress(bytes(BOMB_BYTES), 9)
    jpeg, png, webp, tiff = (encoded(picture, name, **BEST[name]) for name in ("JPEG", "PNG", "WEBP", "TIFF"))
    pieces = b"".join(
        b"\xff\xe2\xff\xff" + b"ICC_PROFILE\0" + bytes([n % 256, 255]) + rubbish[:65519] for n in range(255)
    )
    return {
        "PNG, profile of 1.5 MB": (png_with(png, b"iCCP", b"printer\0\0" + zlib.compress(rubbish, 1)), png),
        "PNG, text of 1.5 MB": (png_with(png, b"zTXt", b"workflow\0\0" + zlib.compress(rubbish.hex().encode())), png),
        "PNG, XMP of 1.5 MB": (png_with(png, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + rubbish.hex().encode()), png),
        "PNG, a hundred texts of 1 MB": (png[:33] + chunk(b"tEXt", b"a\0" + b"b" * 1_000_000) * 100 + png[33:], png),
        "PNG, profile of 100 MB in 100 kB": (png_with(png, b"iCCP", b"printer\0\0" + bomb), png),
        "PNG, text of 100 MB in 100 kB": (png_with(png, b"zTXt", b"Raw profile type exif\0\0" + bomb), png),
        "PNG, XMP of 100 MB in 100 kB": (png_with(png, b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb), png),
        "JPEG, profile of 16 MB": (jpeg[:2] + pieces + jpeg[2:], jpeg),
        "WebP, XMP of 1.5 MB": (webp_with(webp, b"XMP ", rubbish, picture.size), webp),
        "WebP, profile of 1.5 MB": (webp_with(webp, b"ICCP", rubbish, picture.size), webp),
        "TIFF, private tag of 1.5 MB": (
            tiff_with(tiff, 50000, 7, LARGE_BYTES, struct.pack("<I", len(tiff) + 500)) + rubbish + bytes(500), tiff,
        ),
    }  # fmt: skip


def test_large_metadata_leaves_the_picture_as_it_is(small: Image.Image, preprocessing: Preprocessing) -> None:
    for name, (odd, plain) in large(small).items():
        assert farthest(view(odd, preprocessing), view(plain, preprocessing)) == 0, name


def test_what_lies_behind_a_jpeg_costs_no_memory(small: Image.Image) -> None:
    """Recovered from a card, a photo is followed by what flash memory holds where nothing was written: 0xFF."""
    data = encoded(small, "JPEG") + b"\xff" * 20_000_000

    tracemalloc.start()
    strip_metadata(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < len(data)


def test_a_file_of_nothing_but_heads_is_left_to_its_decoder(small: Image.Image) -> None:
    """Each head would cost its reader more memory than it takes in the file."""
    jpeg, png, avif = (encoded(small, name) for name in ("JPEG", "PNG", "AVIF"))
    for data in (
        jpeg[:2] + b"\xff\xdb\0\2" * MOST_PARTS + jpeg[2:],
        png[:33] + chunk(b"tEXt", b"") * MOST_PARTS + png[33:],
        avif[:32] + b"\0\0\0\x08free" * (MOST_PARTS + 1),
    ):
        assert strip_metadata(data).data is data


#: Decodes each file that is named, and prints what the process held at most, from /proc.
_PEAK = """
import re, sys
from storage.records import Preprocessing
from pictures.decoding import decode
preprocessing = Preprocessing(
    resize_size=256, crop_size=224, interpolation="bilinear", mean=(0, 0, 0), std=(1, 1, 1)
)
for path in sys.argv[1:]:
    decode(open(path, "rb").read(), preprocessing, 10_000_000)
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
def test_bombs_in_metadata_cost_no_memory(small: Image.Image, tmp_path: Path) -> None:
    paths = []
    for number, (data, _) in enumerate(large(small).values()):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(data)

    done = subprocess.run([sys.executable, "-c", _PEAK, *map(str, paths)], capture_output=True, text=True, check=True)

    assert int(done.stdout) * 1024 < PEAK_BYTES


#: What is damaged: a block of EXIF without an orientation, a packet of XMP, a profile.
_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'


def _with_metadata(picture: Image.Image, file_format: str) -> tuple[bytes, list[tuple[int, int]]]:
    """Return a file with metadata of each kind that its format has, and where each lies."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "maker", "model", "2024:12:31 23:59:59"
    exif.get_ifd(0x8769)[0x9003] = "2024:12:31 23:59:59"
    exif.get_ifd(0x8825)[1] = "N"
    block, profile = exif.tobytes(), random.Random(2).randbytes(600)  # noqa: S311 - as above
    options = {"exif": block, "icc_profile": profile, "xmp": _XMP} | BEST[file_format]
    if file_format in ("GIF", "BMP"):
        options = {"comment": _XMP} if file_format == "GIF" else {}
    if file_format == "PNG":
        options = {"exif": block, **BEST["PNG"]}
    data = encoded(picture, file_format, **options)
    found = [(data.find(part), len(part)) for part in (block.removeprefix(b"Exif\0\0"), profile, _XMP)]
    if file_format == "PNG":
        texts = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _XMP) + chunk(
            b"iCCP", b"p\0\0" + zlib.compress(profile)
        )
        found = [(data.find(b"eXIf") + 4 + len(texts), len(block) - 6), (33 + 8, len(texts) - 8)]
        data = data[:33] + texts + data[33:]
    return data, [(at, length) for at, length in found if at >= 0]


def test_of_300_pictures_with_damaged_metadata_each_is_seen_as_its_twin(
    small: Image.Image, preprocessing: Preprocessing
) -> None:
    """The same bytes are damaged each time; the label follows from what is seen, which is the same to the last bit."""
    dice = random.Random(13)  # noqa: S311 - as above
    formats = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "GIF")
    files = {name: _with_metadata(small, name) for name in formats}
    twins = {name: view(data, preprocessing) for name, (data, _) in files.items()}
    wrong = []
    for number in range(300):
        name = formats[number % len(formats)]
        data, places = bytearray(files[name][0]), files[name][1]
        for _ in range(dice.randint(1, 4)):
            at, length = dice.choice(places)
            begin = at + dice.randrange(length)
            count = min(dice.choice((1, 2, 8, 64)), at + length - begin)
            data[begin : begin + count] = dice.choice((dice.randbytes(count), bytes(count), b"\xff" * count))
        try:
            difference = farthest(view(bytes(data), preprocessing), twins[name])
        except Exception as error:  # noqa: BLE001 - whatever it is: it is to be named
            wrong.append(f"{number} {name}: {error!r}")
            continue
        if difference:
            wrong.append(f"{number} {name}: seen differently")

    assert all(places for _, places in files.values())
    assert wrong == []
