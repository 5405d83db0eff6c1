"""From a file's bytes to the model's view of the picture, shown as a viewer would show it.

The format is found in the bytes, never in the name. Orientation from EXIF is applied; of an animation the first
frame counts; transparency lies on white; 16 bits are scaled to 8. `docs/formats.md` states each decision.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

import simplejpeg
from celery.exceptions import SoftTimeLimitExceeded
from PIL import AvifImagePlugin, Image, UnidentifiedImageError

from worker.costs import check_container, check_costs, check_pixels
from worker.failures import FailureKind, ImageError
from worker.preprocessing import crop, upright_size
from worker.viewed import Viewed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from storage.records import Preprocessing

#: Pillow's decoders that may touch a user's file. Never EPS, which runs a program. JPEG's opens MPO too.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

#: One thread a process, as with all that it uses: the default is one a CPU in each of the processes, one a CPU.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

#: A picture's size is checked here, before decoding, against the user's own limit.
Image.MAX_IMAGE_PIXELS = None

_ORIENTATION_TAG = 0x0112
_MAX_ORIENTATION = 8
#: By which libjpeg-turbo scales in its fast transforms; other eighths are slower than no scaling.
_SCALES = (8, 4, 2)
#: How Pillow's decoders say that the data ended before the picture did.
_ENDED_EARLY = ("truncated", "unexpected end", "not enough", "premature", "unexpected eof", "too short")


class Decoded(NamedTuple):
    """A picture, ready for a model."""

    pixels: NDArray[np.uint8]  #: `[crop_size, crop_size, 3]`, RGB
    width: int  #: of the upright picture
    height: int


def decode(data: bytes, preprocessing: Preprocessing, max_pixels: int) -> Decoded:
    """Decode a picture and cut out the model's view of it.

    Raises:
        ImageError: no image, truncated, damaged, or with more than `max_pixels`.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata; what matters raises
            return _decode(data, preprocessing, max_pixels)
    except (ImageError, SoftTimeLimitExceeded):
        raise
    except UnidentifiedImageError:
        if _begins_like_an_image(data):
            raise ImageError(FailureKind.DAMAGED, "it begins like an image, but cannot be opened as one") from None
        reason = "none of the formats that are read" if data else "the file is empty"
        raise ImageError(FailureKind.NOT_AN_IMAGE, reason) from None
    except MemoryError:
        raise ImageError(FailureKind.TOO_LARGE, "not enough memory to decode it") from None
    # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, IndexError and more on bad data.
    except Exception as error:
        reason = f"{error}" or type(error).__name__
        early = any(sign in reason.lower() for sign in _ENDED_EARLY)
        raise ImageError(FailureKind.TRUNCATED if early else FailureKind.DAMAGED, reason) from error


def _decode(data: bytes, preprocessing: Preprocessing, max_pixels: int) -> Decoded:
    if _is_iso_media(data):
        check_container(data, max_pixels)
    with Image.open(io.BytesIO(data), formats=_formats(data)) as picture:
        check_pixels(*picture.size, max_pixels)
        check_costs(data, picture, max_pixels)
        decoded = _jpeg_pixels(data, picture, 2 * preprocessing.resize_size) or _loaded(picture)
        # Only now: TIFF's decoder turns the picture itself, and then drops the tag.
        orientation = _orientation(picture)
        view = crop(Viewed(decoded), orientation, preprocessing, stored_size=picture.size)
    return Decoded(view, *upright_size(picture.size, orientation))


def _jpeg_pixels(data: bytes, picture: Image.Image, least: int) -> Image.Image | None:
    """Decode an ordinary JPEG, scaled down by 2, 4 or 8 if its short side keeps `least` pixels.

    Twice as fast as Pillow, with the same pixels; and a photo of 12 megapixels six times as fast again. `least` is
    twice what the model's transforms resize to: with less, labels begin to differ (docs/formats.md).

    Returns:
        None where Pillow must decode: another format, CMYK, or damaged data, of which Pillow is the judge.

    """
    if picture.format not in ("JPEG", "MPO") or picture.mode not in ("RGB", "L"):
        return None
    divisor = next((divisor for divisor in _SCALES if min(picture.size) >= least * divisor), 1)
    width, height = (-(-side // divisor) for side in picture.size)
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace="RGB", min_width=width, min_height=height)
    except ValueError:
        return None
    return Image.fromarray(pixels)


def _loaded(picture: Image.Image) -> Image.Image:
    """Return the picture with the pixels of its first frame decoded."""
    picture.load()
    return picture


def _orientation(picture: Image.Image) -> int:
    orientation = picture.getexif().get(_ORIENTATION_TAG, 1)
    return orientation if orientation in range(1, _MAX_ORIENTATION + 1) else 1


def _begins_like_an_image(data: bytes) -> bool:
    """Ask Pillow's decoders whether they would know a file that begins so."""
    accepts = (Image.OPEN[name][1] for name in _formats(data) if name in Image.OPEN)
    return bool(data) and any(accept(data[:16]) is True for accept in accepts if accept)


def _formats(data: bytes) -> tuple[str, ...]:
    """Return the formats to try; HEIC's decoder is loaded when the first such file comes, if ever."""
    if not _is_iso_media(data):
        return FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener(decode_threads=0)
    return (*FORMATS, "HEIF")


def _is_iso_media(data: bytes) -> bool:
    """Tell whether this is a HEIC, an AVIF, or a film."""
    return data[4:8] == b"ftyp"
