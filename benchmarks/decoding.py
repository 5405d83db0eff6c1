"""Where the time of large photos goes, by format: the decoder alone, and all from the bytes to the model's crop."""

from __future__ import annotations

import io
import time
from functools import partial
from typing import TYPE_CHECKING

from PIL import Image, ImageFilter

from benchmarks.measured import middle_ms
from benchmarks.page import Section
from benchmarks.sidecars import MODEL
from pictures.decoding import decode, decoded_picture

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SIZES = {"12 MP": (4000, 3000), "48 MP": (8000, 6000)}
#: How each is saved: as cameras, phones and programs do by themselves.
_FORMATS: Mapping[str, Mapping[str, object]] = {
    "JPEG": {"format": "JPEG", "quality": 90},
    "JPEG, progressive": {"format": "JPEG", "quality": 90, "progressive": True},
    "HEIC": {"format": "HEIF", "quality": 80},
    "AVIF": {"format": "AVIF", "quality": 75, "speed": 9},
    "WebP": {"format": "WEBP", "quality": 85, "method": 0},
    "PNG": {"format": "PNG", "compress_level": 6},
    "TIFF, deflated": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    "BMP": {"format": "BMP"},
}
_PREPROCESSING = MODEL.preprocessing
_MOST_PIXELS = 100_000_000


def measure(photos: Path, rounds: int) -> Section:
    """Decode one photo, made so large, in each format and size."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    lines = ["| a photo as | of | file | decoder | to the model's crop |", "|---|---|---|---|---|"]
    times: dict[str, tuple[float, float]] = {}
    with Image.open(min(photos.glob("*.jpg"))) as photo:
        for size, pixels in _SIZES.items():
            picture = photo.convert("RGB").resize(pixels, Image.Resampling.BICUBIC).filter(ImageFilter.SHARPEN)
            for name, how in _FORMATS.items():
                data = _saved(picture, how)
                alone, all_of_it = (
                    middle_ms(partial(work, data), rounds, time.process_time) for work in (_decoded, _cropped)
                )
                times[f"{name}, {size}"] = alone, all_of_it
                lines.append(f"| {name} | {size} | {len(data) / 1e6:.1f} MB | {alone:.0f} ms | {all_of_it:.0f} ms |")
    return Section(lines, times)


def _saved(picture: Image.Image, how: Mapping[str, object]) -> bytes:
    file = io.BytesIO()
    picture.save(file, **how)  # type: ignore[arg-type]
    return file.getvalue()


def _decoded(data: bytes) -> None:
    """Decode as a worker does, and look at none of the pixels."""
    with decoded_picture(data, _MOST_PIXELS, lambda _size: 2 * _PREPROCESSING.resize_size):
        pass


def _cropped(data: bytes) -> None:
    decode(data, _PREPROCESSING, _MOST_PIXELS)
