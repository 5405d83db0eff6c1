"""From a file's bytes to the model's crop of the picture, as a viewer would show it.

The format is found in the bytes, never in the name. Orientation is applied; of an animation the first frame counts;
transparency lies on white; 16 bits are scaled to 8; metadata is never shown to a decoder. `docs/formats.md` states each
decision.
"""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from celery.exceptions import SoftTimeLimitExceeded
from PIL import AvifImagePlugin, Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from archive.failures import FailureKind, ImageError
from pictures import tiff_strips as strips
from pictures.display import DisplayPicture
from pictures.formats import strip_metadata
from pictures.formats.orientation import HIGHEST, UPRIGHT
from pictures.jpeg_decoder import COLOURS, decode_jpeg
from pictures.libtiff import capture_libtiff_errors
from pictures.limits import check_container, check_costs, check_pixels
from pictures.png_rows import load_png
from pictures.preprocessing import crop, upright_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from pictures.formats import StrippedFile
    from storage.records import Preprocessing

#: Pillow's decoders that may touch a user's file. Never EPS, which runs a program. JPEG's opens MPO too.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

#: One thread per process, as everywhere else: the default is one per CPU, and there is one process per CPU.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

#: A picture's size is checked here, before decoding, against the user's own limit.
Image.MAX_IMAGE_PIXELS = None

_ORIENTATION_TAG, _COLOR_MAP = 0x0112, 0x0140
_MOST_8_BIT = 0xFF
#: How Pillow's decoders say that the data ended before the picture did.
_ENDED_EARLY = ("truncated", "unexpected end", "not enough", "premature", "unexpected eof", "too short")


class Decoded(NamedTuple):
    """A picture, ready for a model."""

    pixels: NDArray[np.uint8]  #: `[crop_size, crop_size, 3]`, RGB
    width: int  #: of the upright picture
    height: int
    warning: str | None = None  #: what decoder and check sums say of damage to pixels that were labelled all the same


class StoredPicture(NamedTuple):
    """A picture that is decoded, and not yet upright."""

    shown: DisplayPicture  #: perhaps scaled down
    orientation: int  #: EXIF's, 1 to 8
    stored_size: tuple[int, int]  #: width and height in the file
    warning: str | None  #: as in `Decoded`


def decode(data: bytes, preprocessing: Preprocessing, max_pixels: int) -> Decoded:
    """Decode a picture and cut out the model's crop of it.

    Raises:
        ImageError: no image, truncated, damaged, or with more than `max_pixels`.

    """
    with decoded_picture(data, max_pixels, lambda _size: 2 * preprocessing.resize_size) as picture:
        shown, orientation, stored_size, warning = picture
        pixels = crop(shown, orientation, preprocessing, stored_size=stored_size)
    return Decoded(pixels, *upright_size(stored_size, orientation), warning)


@contextmanager
def decoded_picture(
    data: bytes, max_pixels: int, least_short_side: Callable[[tuple[int, int]], int]
) -> Iterator[StoredPicture]:
    """Decode a picture for as long as the block lasts, in which its pixels are converted.

    Args:
        data: the file's bytes.
        max_pixels: that the picture may have.
        least_short_side: of a width and a height, the pixels that are needed of the short side: a JPEG may be scaled
            down to that while it is decoded.

    Raises:
        ImageError: as for `decode`; also in place of whatever the block raises.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata; what matters raises
            if _is_iso_media(data):
                check_container(data, max_pixels)
            file = strip_metadata(data)
            with Image.open(io.BytesIO(file.data), formats=_formats(data)) as picture:
                yield _stored_picture(file, picture, max_pixels, least_short_side)
    except (ImageError, SoftTimeLimitExceeded):
        raise
    except UnidentifiedImageError:
        if _begins_like_an_image(data):
            raise ImageError(FailureKind.DAMAGED, "it begins like an image but cannot be opened as one") from None
        reason = "not in a supported format" if data else "the file is empty"
        raise ImageError(FailureKind.NOT_AN_IMAGE, reason) from None
    except MemoryError:
        raise ImageError(FailureKind.TOO_LARGE, "not enough memory to decode it") from None
    # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, IndexError and more on bad data.
    except Exception as error:
        reason = f"{error}" or type(error).__name__
        early = any(sign in reason.lower() for sign in _ENDED_EARLY)
        raise ImageError(FailureKind.TRUNCATED if early else FailureKind.DAMAGED, reason) from error


def _stored_picture(
    file: StrippedFile,
    picture: Image.Image,
    max_pixels: int,
    least_short_side: Callable[[tuple[int, int]], int],
) -> StoredPicture:
    with capture_libtiff_errors() as messages:
        check_pixels(*picture.size, max_pixels)
        check_costs(file.data, picture, max_pixels)
        orientation = file.orientation or _orientation(picture)
        decoded, warning = _pixels(file, picture, least_short_side(picture.size))
        shown = DisplayPicture(decoded)
    return StoredPicture(shown, orientation, picture.size, warning or shown.warning or "; ".join(messages) or None)


def _pixels(file: StrippedFile, picture: Image.Image, min_short_side: int) -> tuple[Image.Image, str | None]:
    """Return the decoded picture, perhaps scaled down, and what is known of damage in it."""
    warning = file.warning
    if picture.format == "JPEG" and picture.mode in COLOURS:
        decoded = decode_jpeg(file, picture.mode, picture.size, min_short_side)
        if decoded and picture.mode != "CMYK":
            return Image.fromarray(decoded.pixels), decoded.warning
        warning = decoded.warning if decoded else warning
    if isinstance(picture, TiffImageFile):
        warning = strips.find_damage(file.data, picture)
    if picture.format == "PNG":
        return load_png(file, picture)
    return _loaded(picture), warning


def _loaded(picture: Image.Image) -> Image.Image:
    """Return the picture with the pixels of its first frame decoded."""
    if isinstance(picture, WebPImageFile):
        picture.__class__ = _LeanWebP
    picture.load()
    if isinstance(picture, TiffImageFile) and picture.mode == "P":
        _widen_palette(picture)
    if picture.format == "BMP" and picture.mode == "RGBA" and picture.getextrema()[-1] == (0, 0):
        picture.putalpha(255)  # a mask for alpha, and none in it: viewers show the colours
    return picture


def _widen_palette(picture: TiffImageFile) -> None:
    """Take a palette of 8-bit values for what it is, as libtiff does: of the 16 bits that belong there none is left."""
    values = picture.tag_v2[_COLOR_MAP]
    if max(values) <= _MOST_8_BIT:
        picture.putpalette(bytes(values), "RGB;L")


class _LeanWebP(WebPImageFile):
    """A WebP whose decoder ends between decoding and copying the first frame: it keeps two canvases for the next one.

    With the frame that it returns and Pillow's own, a picture would be held four times.
    """

    def load_prepare(self) -> None:
        self._decoder = None
        super().load_prepare()


def _orientation(picture: Image.Image) -> int:
    """Return what the decoder tells: AVIF's puts what the file's properties say in the place of its EXIF."""
    try:
        told: object = picture.getexif().get(_ORIENTATION_TAG)
    except SoftTimeLimitExceeded:
        raise
    except Exception:  # noqa: BLE001 - whatever Pillow raises on what it cannot parse: that costs no picture
        return UPRIGHT
    return told if isinstance(told, int) and UPRIGHT <= told <= HIGHEST else UPRIGHT


def _begins_like_an_image(data: bytes) -> bool:
    """Ask Pillow's decoders whether they would know a file that begins so."""
    accepts = (Image.OPEN[name][1] for name in _formats(data) if name in Image.OPEN)
    return bool(data) and any(accept(data[:16]) is True for accept in accepts if accept)


def _formats(data: bytes) -> tuple[str, ...]:
    """Return the formats to try; HEIC's decoder is loaded when the first such file comes, if ever."""
    if not _is_iso_media(data):
        return FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=0)
    return (*FORMATS, "HEIF")


def _is_iso_media(data: bytes) -> bool:
    """Tell whether this is a HEIC, an AVIF, or a film."""
    return data[4:8] == b"ftyp"
