"""What counts as an image: by its name, or by its first bytes. Real files, written by the libraries that read them."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from typing import TYPE_CHECKING

import pillow_heif
import pytest
from PIL import Image

from archive.places.local_file import read_head
from archive.sniff import HEAD_BYTES, has_image_suffix, is_image_head

if TYPE_CHECKING:
    from pathlib import Path

pillow_heif.register_heif_opener()

#: Pillow's name of each format that a worker reads.
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "HEIF", "MPO"]


def picture(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("photo.jpg", picture("JPEG"))
    return buffer.getvalue()


def base_media(brand: bytes) -> bytes:
    """Return the beginning of an ISO base media file: a film, or a still picture, as its brand says."""
    return struct.pack(">I4s4sI", 32, b"ftyp", brand, 512) + b"isomiso2avc1mp41" + bytes(64)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "DIB"])
def test_a_picture_of_every_format_that_is_read_begins_like_one(kind: str) -> None:
    assert is_image_head(picture(kind))


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"])
def test_every_brand_of_still_pictures_is_known(brand: bytes) -> None:
    assert is_image_head(base_media(brand))


@pytest.mark.parametrize(
    "head",
    [b"II*\x00\x10\x00\x00\x00CR\x02\x00", b"MM\x00*\x00\x00\x00\x08", b"II+\x00\x08\x00\x00\x00"],
    ids=["Canon CR2", "Nikon NEF", "BigTIFF"],
)
def test_a_cameras_raw_file_that_is_a_tiff_inside_is_offered_to_a_worker(head: bytes) -> None:
    # CR2, NEF and DNG cannot be told from TIFF by their first bytes; what becomes of one is seen when it is decoded.
    assert is_image_head(head.ljust(32, b"\x00"))


@pytest.mark.parametrize("suffix", [".cr2", ".CR3", ".nef", ".dng", ".arw"])
def test_a_cameras_raw_file_does_not_count_as_an_image_by_its_name(suffix: str) -> None:
    assert not has_image_suffix(f"IMG_0001{suffix}")


@pytest.mark.parametrize(
    "content",
    [
        base_media(b"isom"),
        base_media(b"mp42"),
        base_media(b"qt  "),
        base_media(b"crx "),
        b"Milk, bread, and a birthday present for Anna.",
        b"BMW: the invoice for the second-hand car we bought",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj",
        archive(),
        json.dumps({"photo": "cat.jpg"}).encode(),
        b"RIFF\x24\x08\x00\x00WAVEfmt \x10\x00\x00\x00",
        b"RIFF\x24\x08\x00\x00AVI LIST\x10\x00\x00\x00",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9",
        b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        b"\xff\xd8",
        b"",
    ],
    ids="isom mp42 qt CR3 text text-BM pdf zip json wav avi eps svg two-bytes empty".split(),  # noqa: SIM905
)
def test_what_is_no_picture_does_not_begin_like_one(content: bytes) -> None:
    assert not is_image_head(content[:32])


@pytest.mark.parametrize("name", ["a.jpg", "A.JPG", "a.Jpeg", "a.b.png", "a.HEIC", "a.tif", "sp ace.webp", "a\n.gif"])
def test_a_name_says_image_in_any_case_of_letters(name: str) -> None:
    assert has_image_suffix(name)


@pytest.mark.parametrize("name", ["jpg", "a.jpg.txt", "a.txt", "a", "a.", ".jpg"])
def test_other_names_say_nothing(name: str) -> None:
    assert not has_image_suffix(name)


def test_a_file_is_judged_by_its_first_bytes(tmp_path: Path) -> None:
    file = tmp_path / "IMG_0001"
    file.write_bytes(picture("JPEG"))
    assert is_image_head(read_head(str(file), HEAD_BYTES))


def test_a_file_of_a_few_bytes_is_judged_too(tmp_path: Path) -> None:
    file = tmp_path / "note"
    file.write_bytes(b"BM")
    assert not is_image_head(read_head(str(file), HEAD_BYTES))
