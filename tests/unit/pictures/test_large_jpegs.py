"""Large JPEGs: scaled down while they are decoded, only as far as the labels stay the same."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pictures.decoding import decode
from pictures.formats import StrippedFile
from pictures.jpeg_decoder import decode_jpeg
from storage.records import ChunkImage
from worker.labelling import Labeller

if TYPE_CHECKING:
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.records import Preprocessing

MAX_PIXELS = 100_000_000
#: Twice what ResNet-18's transforms resize to.
LEAST = 512
#: Photos that are made large: each takes half a second to make and to decode in full.
LARGE = 50
#: Of these; the bar for bf16 is 123 of 125.
SAME_AT_LEAST = 49


def enlarged(photo: Path, short_side: int) -> Image.Image:
    """Return a photo as a camera of more megapixels would have taken it, as far as interpolation can."""
    with Image.open(photo) as opened:
        scale = short_side / min(opened.size)
        width, height = (max(short_side, round(side * scale)) for side in opened.size)
        return opened.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)


def as_jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=92)
    return file.getvalue()


@pytest.mark.parametrize(("short_side", "decoded"), [(1023, 1023), (1024, 512), (2047, 1024), (2048, 512), (4100, 513)])
def test_the_short_side_keeps_twice_what_the_model_resizes_to(photos: Path, short_side: int, decoded: int) -> None:
    data = as_jpeg(enlarged(next(photos.glob("*.jpg")), short_side))
    with Image.open(io.BytesIO(data)) as picture:
        fast = decode_jpeg(StrippedFile(data), picture.mode, picture.size, LEAST)

    assert fast
    assert min(fast.pixels.shape[:2]) == decoded


def test_the_size_that_is_reported_is_the_files(photos: Path, preprocessing: Preprocessing) -> None:
    picture = enlarged(next(photos.glob("*.jpg")), 2048)

    shown = decode(as_jpeg(picture), preprocessing, MAX_PIXELS)

    assert (shown.width, shown.height) == picture.size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_scaled_view_is_where_the_whole_ones_is(photos: Path, preprocessing: Preprocessing, orientation: int) -> None:
    """The crop is reckoned from the file's own size; decoding at another one moves it by no pixel."""
    picture = enlarged(next(photos.glob("*.jpg")), 1501)
    exif = Image.Exif()
    exif[0x0112] = orientation
    files = io.BytesIO(), io.BytesIO()
    picture.save(files[0], "JPEG", quality=95, exif=exif.tobytes())
    picture.save(files[1], "PNG", exif=exif.tobytes(), compress_level=1)

    scaled, whole = (decode(file.getvalue(), preprocessing, MAX_PIXELS).pixels.astype(float) for file in files)

    assert np.abs(scaled - whole).mean() < 1.5


def test_large_photos_get_the_labels_that_they_get_in_full(
    photos: Path, resnet18: ReadyModel, settings: Settings, tmp_path: Path
) -> None:
    """Twelve-megapixel twins of photos, as JPEG, against the same pixels decoded in full."""
    labeller = Labeller(resnet18, settings)
    same = 0
    for number, photo in enumerate(sorted(photos.glob("*.jpg"))[:LARGE]):
        scaled, whole = tmp_path / "scaled.jpg", tmp_path / "whole.bmp"
        data = as_jpeg(enlarged(photo, 2048))
        scaled.write_bytes(data)
        with Image.open(io.BytesIO(data)) as picture:
            picture.save(whole)
        images = [ChunkImage(number, str(scaled)), ChunkImage(-1 - number, str(whole))]
        outcomes = labeller.label(images, [str(tmp_path.resolve())])
        same += len({outcome.labels[0][0] for outcome in outcomes}) == 1

    assert same >= SAME_AT_LEAST
