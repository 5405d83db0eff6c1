"""What a picture may cost, asked of its file before anything is decoded.

Its pixels are what a header says. These are the files that cost more than their pixels: small ones that take long, or
much memory. What their decoders refuse by limits of their own is named here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL.TiffTags import TAGS_V2

from archive.failures import FailureKind, ImageError
from pictures.formats.isobmff import sizes_in
from pictures.formats.jpeg import scans_of

if TYPE_CHECKING:
    from PIL import Image

#: Scans times pixels that a JPEG may have: 30 scans at 100 megapixels. libjpeg goes through the whole picture for each;
#: 882 nearly empty ones, in a file of 0.4 MB, took it 22 s. Encoders write 10 to 20. Measured at 0.2 to 1 ns each.
MAX_SCANNED_PIXELS = 3_000_000_000
#: Pixels by which a coded picture may be wider or higher than what is shown of it: HEVC codes blocks of up to 64.
_MOST_PADDING = 63
#: What libavif refuses. Source: avif.h, AVIF_DEFAULT_IMAGE_SIZE_LIMIT and AVIF_DEFAULT_IMAGE_DIMENSION_LIMIT
AVIF_MAX_PIXELS, AVIF_MAX_SIDE = 16384 * 16384, 32768
#: What libheif refuses. Source: libheif 1.23, security_limits.cc
HEIF_MAX_PIXELS = 32768 * 32768

_TAG = {info.name: tag for tag, info in TAGS_V2.items()}
_TILE_SIZE = _TAG["TileWidth"], _TAG["TileLength"]
_STRIP_BYTES = _TAG["StripByteCounts"], _TAG["TileByteCounts"]
#: Bytes that the strips of a TIFF may have together, five times the largest file. They may lie over each other: 100,000
#: that each have the whole of a file of 1 MB are read 100,000 times.
MAX_STRIP_BYTES = 1_000_000_000


def check_container(data: bytes, max_pixels: int) -> None:
    """Refuse a HEIC or AVIF that is too large for its decoder or for the settings, and say for which.

    Asked before such a file is opened: its decoders refuse by limits of their own, in words that name none of them.

    Raises:
        ImageError: too large.

    """
    is_avif = b"avi" in data[8:12] or b"avif" in data[16:64]
    for width, height in sizes_in(data):
        # Not yet exactly: `clap` may take the padding off, and what is opened says how large it is.
        check_pixels(max(0, width - _MOST_PADDING), max(0, height - _MOST_PADDING), max_pixels)
        if is_avif and (width * height > AVIF_MAX_PIXELS or max(width, height) > AVIF_MAX_SIDE):
            raise _too_large(
                width, height, f"libavif takes {AVIF_MAX_PIXELS // 1_000_000} million, and {AVIF_MAX_SIDE} to a side"
            )
        if not is_avif and width * height > HEIF_MAX_PIXELS:
            raise _too_large(width, height, f"libheif takes {HEIF_MAX_PIXELS // 1_000_000} million")


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture of more pixels than the settings allow.

    Raises:
        ImageError: too large.

    """
    if width * height > max_pixels:
        raise _too_large(width, height, f"NIGHTLABEL_MAX_MEGAPIXELS allows {max_pixels // 1_000_000} million")


def check_costs(data: bytes, picture: Image.Image, max_pixels: int) -> None:
    """Refuse a picture, opened and not loaded, that would cost much more than its pixels.

    Raises:
        ImageError: too large.

    """
    if picture.format in ("JPEG", "MPO"):
        _check_scans(data, picture)
    elif picture.format == "TIFF":
        _check_tiles(picture, max_pixels)
        _check_strips(picture)


def _check_scans(data: bytes, picture: Image.Image) -> None:
    width, height = picture.size
    scans = scans_of(data)
    if scans * width * height > MAX_SCANNED_PIXELS:
        allowed = f"pixels times scans may be at most {MAX_SCANNED_PIXELS // 1_000_000} million in a JPEG"
        raise _too_large(width, height, f"in {scans} scans; {allowed}", mark=" ")


def _check_tiles(picture: Any, max_pixels: int) -> None:  # noqa: ANN401 - Pillow's TIFF has tags, other pictures have not
    width, height = (int(picture.tag_v2.get(tag, 0)) for tag in _TILE_SIZE)
    if width * height > max_pixels:  # a tile is decoded whole, however little of it the picture shows
        allowed = f"NIGHTLABEL_MAX_MEGAPIXELS allows {max_pixels // 1_000_000} million"
        raise ImageError(FailureKind.TOO_LARGE, f"its tiles have {width} × {height} pixels; {allowed}")


def _check_strips(picture: Any) -> None:  # noqa: ANN401 - as above
    read = sum(int(count) for tag in _STRIP_BYTES for count in picture.tag_v2.get(tag, ()))
    if read > MAX_STRIP_BYTES:
        read_mb, most_mb = read // 1_000_000, MAX_STRIP_BYTES // 1_000_000
        said = f"its strips or tiles, which overlap, add up to {read_mb} MB; a TIFF may have {most_mb} MB"
        raise ImageError(FailureKind.TOO_LARGE, said)


def _too_large(width: int, height: int, limit: str, *, mark: str = "; ") -> ImageError:
    return ImageError(FailureKind.TOO_LARGE, f"{width} × {height} pixels{mark}{limit}")
