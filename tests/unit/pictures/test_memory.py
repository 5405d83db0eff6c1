"""Memory: a large picture is held about once, and cut into bands that change nothing of what is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import pictures.preprocessing
from pictures.decoding import decode
from tests.processes import in_a_process
from tests.unit.pictures.pictures import BEST, MAX_PIXELS, encoded, farthest, view

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.records import Preprocessing

_PEAK = """
import json, re, sys
from storage.records import Preprocessing
from pictures.decoding import decode
from host.memory import peak_rss_bytes

def held():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

preprocessing = Preprocessing(resize_size=256, crop_size=224, interpolation="bilinear", mean=(), std=())
small, large = (open(path, "rb").read() for path in sys.argv[1:])
decode(small, preprocessing, 10**9)  # so that all that is imported is there
before = held()
decode(large, preprocessing, 10**9)
print(json.dumps(peak_rss_bytes() - before))
"""
#: Pixels of a side of what is measured, 25 megapixels; and of its small twin.
SIDE, SMALL = 5000, 40


def noisy(side: int) -> Image.Image:
    row = np.random.default_rng(0).integers(0, 256, (side, 3), dtype=np.uint8)
    return Image.fromarray(np.broadcast_to(row, (side, side, 3)).copy())


def transparent(side: int) -> Image.Image:
    picture = noisy(side)
    picture.putalpha(picture.getchannel("R"))
    return picture


def deep(kind: type[Any]) -> Callable[[int], Image.Image]:
    return lambda side: Image.fromarray(np.asarray(noisy(side).convert("L")).astype(kind) * kind(200))


@pytest.mark.parametrize(
    ("file_format", "make", "bytes_a_pixel"),
    [
        ("PNG", noisy, 4),
        ("PNG", transparent, 4),
        ("PNG", lambda side: transparent(side).convert("LA"), 4),
        ("PNG", lambda side: noisy(side).quantize(64), 1),
        ("PNG", lambda side: noisy(side).convert("L"), 1),
        ("PNG", deep(np.uint16), 2),
        ("TIFF", deep(np.uint16), 2),
        ("TIFF", deep(np.int32), 4),
        ("TIFF", deep(np.float32), 4),
        ("TIFF", transparent, 4),
        ("TIFF", lambda side: noisy(side).convert("CMYK"), 4),
        ("JPEG", lambda side: noisy(side).convert("CMYK"), 4),
    ],
    ids=[
        *("RGB", "RGBA", "grey and alpha", "palette", "grey", "16 bits", "16-bit TIFF", "32-bit TIFF", "float TIFF"),
        *("RGBA TIFF", "CMYK TIFF", "CMYK JPEG"),
    ],
)
def test_a_large_picture_is_held_about_once(
    file_format: str, make: Callable[[int], Image.Image], bytes_a_pixel: int, tmp_path: Path
) -> None:
    """At most one and a half times what the decoder holds, and 25 MB of bands. The file comes on top, up to twice."""
    packed: dict[str, dict[str, Any]] = {
        "PNG": {"compress_level": 1},
        "TIFF": {"compression": "tiff_adobe_deflate"},
    }
    options = packed.get(file_format, {})
    paths = [tmp_path / f"{side}" for side in (SMALL, SIDE)]
    for path, side in zip(paths, (SMALL, SIDE), strict=True):
        path.write_bytes(encoded(make(side), file_format, **options))

    held_bytes = in_a_process(_PEAK, *map(str, paths))

    file_bytes = paths[1].stat().st_size
    assert held_bytes < 1.5 * SIDE * SIDE * bytes_a_pixel + 2 * file_bytes + 25_000_000


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(301, 375), (375, 301), (900, 40), (40, 900)], ids=str)
def test_a_picture_cut_into_bands_looks_as_it_does_in_one_piece(
    size: tuple[int, int],
    interpolation: str,
    orientation: int,
    photo: Image.Image,
    preprocessing: Preprocessing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain, transparent = photo.resize(size), photo.resize(size).convert("RGBA")
    asked = replace(preprocessing, interpolation=interpolation)
    files = [encoded(picture, "PNG", exif=exif.tobytes()) for picture in (plain, transparent)]
    whole = [view(data, asked) for data in files]
    monkeypatch.setattr(pictures.preprocessing, "BAND_PIXELS", 2000)
    monkeypatch.setattr(pictures.preprocessing, "_goes_by_bands", lambda *_: True)  # though it is plain

    assert [farthest(view(data, asked), seen) for data, seen in zip(files, whole, strict=True)] == [0, 0]


@pytest.mark.parametrize("file_format", BEST)
def test_every_format_is_seen_in_bands_as_in_one_piece(
    file_format: str, photo: Image.Image, preprocessing: Preprocessing, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = photo.copy()
    if file_format not in ("JPEG", "BMP"):
        picture.putalpha(Image.linear_gradient("L").resize(photo.size))
    data = encoded(picture, file_format)
    whole = view(data, preprocessing)
    monkeypatch.setattr(pictures.preprocessing, "BAND_PIXELS", 2000)

    assert farthest(view(data, preprocessing), whole) == 0


@pytest.mark.parametrize("size", [(1, 9_000_000), (9_000_000, 1)], ids=str)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_picture_as_thin_as_a_thread_is_seen_where_its_middle_is(
    size: tuple[int, int], interpolation: str, preprocessing: Preprocessing
) -> None:
    """Resized as a whole it would take 8 GB."""
    data = encoded(Image.new("L", size, 200), "TIFF", compression="tiff_adobe_deflate")

    assert (decode(data, replace(preprocessing, interpolation=interpolation), MAX_PIXELS).pixels == 200).all()
