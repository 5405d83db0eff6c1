"""Format × oddity → outcome: what `docs/formats.md` says of each form that a picture may have, written by code."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from archive.failures import ImageError
from pictures.decoding import decode
from tests.conftest import ROOT
from tests.unit.pictures.odd_files import jpeg_of, jpeg_with, png_with, segment, tiff_with, turned
from tests.unit.pictures.pictures import MAX_PIXELS, encoded, on_average, plain_view, png, png_of, tiff

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from storage.records import Preprocessing

#: Levels on average that a lossy form loses of this photo, at most: measured at 2.4 (colours of CMYK) and less.
LOSSY = 3.0
EXACT = 0.0


def grey(photo: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(photo.convert("L"))


def with_dnl(photo: Image.Image) -> bytes:
    """Return a JPEG whose height stands behind its scan, as cameras of line sensors write it."""
    data = encoded(photo, "JPEG", quality=95)
    at = data.index(b"\xff\xc0") + 5
    height = data[at : at + 2]
    return data[:at] + b"\0\0" + data[at + 2 : -2] + segment(0xDC, height) + data[-2:]


def with_gain_map(photo: Image.Image) -> bytes:
    """Return what phones call Ultra HDR: an index of two pictures, and the brighter one's map behind the first."""
    both = encoded(photo, "MPO", save_all=True, append_images=[photo.convert("L").resize((75, 94))], quality=95)
    return jpeg_with(
        both, 0xE1, b'http://ns.adobe.com/xap/1.0/\0<x xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"/>'
    )


def motion_photo(photo: Image.Image) -> bytes:
    """Return a JPEG with a film behind it."""
    return encoded(photo, "JPEG", quality=95) + b"\0\0\0\x18ftypmp42" + b"\xff\xd8\xff\0" * 1000


def without_jfif(photo: Image.Image) -> bytes:
    data = encoded(photo, "JPEG", quality=95)
    return data[:2] + data[2 + 18 :]


def interlaced(photo: Image.Image) -> bytes:
    """Return a PNG in Adam7's seven passes. Source: PNG 3, 8.1."""
    values = np.asarray(photo)
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b"".join(
        b"\0" + row.tobytes() for left, top, right, down in passes for row in values[top::down, left::right]
    )
    return png_of(struct.pack(">IIBBBBB", photo.width, photo.height, 8, 2, 0, 0, 1), zlib.compress(rows))


def apng_without_its_default(photo: Image.Image) -> bytes:
    """Return an animation whose default picture is no frame of it: viewers that know no animations show that one."""
    frames = [ImageOps.invert(photo), ImageOps.mirror(photo)]
    return encoded(photo, "PNG", save_all=True, append_images=frames, default_image=True)


def bits_of(photo: Image.Image, bits: int) -> bytes:
    """Return a grey TIFF of fewer than 8 bits a pixel, packed."""
    values = (grey(photo) >> (8 - bits)).astype(np.uint8)
    unpacked = np.unpackbits(values[..., None], axis=-1)[..., 8 - bits :]
    return tiff(np.packbits(unpacked.reshape(photo.height, -1), axis=-1).tobytes(), photo.size, bits)


def of_type(photo: Image.Image, kind: str, factor: float, **options: Any) -> bytes:
    values = (grey(photo).astype(np.float64) * factor).astype(kind)
    return tiff(values.tobytes(), photo.size, values.itemsize * 8, **options)


def tiled(photo: Image.Image) -> bytes:
    """Return a TIFF in tiles of 64 × 64, without compression: TIFF 6.0, section 15."""
    wide, high = (-(-side // 64) for side in photo.size)
    padded = np.zeros((high * 64, wide * 64), np.uint8)
    padded[: photo.height, : photo.width] = grey(photo)
    tiles = [padded[y : y + 64, x : x + 64].tobytes() for y in range(0, high * 64, 64) for x in range(0, wide * 64, 64)]
    begin = 8 + 2 + 11 * 12 + 4
    pixels_at = begin + 8 * len(tiles)
    fields = [
        (256, 4, 1, photo.width), (257, 4, 1, photo.height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (277, 3, 1, 1), (322, 4, 1, 64), (323, 4, 1, 64), (324, 4, len(tiles), begin),
        (325, 4, len(tiles), begin + 4 * len(tiles)), (339, 3, 1, 1),
    ]  # fmt: skip
    places = [struct.pack("<I", pixels_at + 4096 * number) for number in range(len(tiles))]
    directory = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *one) for one in fields) + bytes(4)
    return b"II*\0\x08\0\0\0" + directory + b"".join(places) + struct.pack("<I", 4096) * len(tiles) + b"".join(tiles)


def transparent(photo: Image.Image, mode: str = "RGBA") -> Image.Image:
    """Return the picture, opaque: of what is seen nothing changes."""
    picture = photo.convert("RGBA")
    return picture.convert(mode) if mode != "RGBA" else picture


def animation(photo: Image.Image, file_format: str, **options: Any) -> bytes:
    return encoded(photo, file_format, save_all=True, append_images=[ImageOps.invert(photo)], **options)


def coded_on_its_side(photo: Image.Image, file_format: str) -> bytes:
    """Return a picture that lies on its side, and a property that turns it by 90° anticlockwise: `irot`."""
    data = encoded(photo.transpose(Image.Transpose.ROTATE_270), file_format, quality=95)
    return turned(data, (struct.pack(">I", 9) + b"irot\1",))


def coded_in_a_mirror(photo: Image.Image, file_format: str) -> bytes:
    """Return a picture that is mirrored, and a property that exchanges left and right: `imir` about a vertical axis."""
    return turned(encoded(ImageOps.mirror(photo), file_format, quality=95), (struct.pack(">I", 9) + b"imir\1",))


def turned_and_mirrored(photo: Image.Image, file_format: str) -> bytes:
    """Return one that `irot` turns anticlockwise, and `imir` then mirrors about a horizontal axis."""
    data = encoded(ImageOps.flip(photo).transpose(Image.Transpose.ROTATE_270), file_format, quality=95)
    return turned(data, (struct.pack(">I", 9) + b"irot\1", struct.pack(">I", 9) + b"imir\0"))


def turned_twice_over(photo: Image.Image, file_format: str) -> bytes:
    """Return one that `irot` turns, with an EXIF that says the same: who heeds both turns too far."""
    exif = Image.Exif()
    exif[0x0112] = 8
    data = encoded(photo.transpose(Image.Transpose.ROTATE_270), file_format, quality=95, exif=exif.tobytes())
    return data if b"irot" in data else turned(data, (struct.pack(">I", 9) + b"irot\1",))


def bmp_upside_down(photo: Image.Image) -> bytes:
    """Return a BMP whose first row is the upper one: its height is negative."""
    data = bytearray(encoded(ImageOps.flip(photo), "BMP"))
    struct.pack_into("<i", data, 22, -photo.height)
    return bytes(data)


def bmp_of_16_bits(photo: Image.Image) -> bytes:
    """Return a BMP of 5, 6 and 5 bits a colour."""
    red, green, blue = (np.asarray(photo)[..., channel].astype(np.uint16) for channel in range(3))
    values = (red >> 3 << 11) | (green >> 2 << 5) | (blue >> 3)
    row_bytes = -(-photo.width // 2) * 4
    rows = b"".join(row.astype("<u2").tobytes().ljust(row_bytes, b"\0") for row in values[::-1])
    head = struct.pack("<IiiHHIIiiII", 40, photo.width, photo.height, 1, 16, 3, len(rows), 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    return b"BM" + struct.pack("<IHHI", 66 + len(rows), 0, 0, 66) + head + masks + rows


def heic_of_10_bits(photo: Image.Image) -> bytes:
    import pillow_heif

    file = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", photo.size, deep(photo).astype("<u2").tobytes()).save(file, quality=95)
    return file.getvalue()


def converted(mode: str) -> Callable[[Image.Image], NDArray[np.uint8]]:
    return lambda photo: np.asarray(photo.convert(mode).convert("RGB"))


def same(photo: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(photo)


def quantized(photo: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(photo.quantize(256).convert("RGB"))


def deep(photo: Image.Image) -> NDArray[np.uint16]:
    return np.asarray(photo).astype(np.uint16) * 257


def premultiplied(photo: Image.Image) -> bytes:
    """Return a TIFF whose alpha has been multiplied into its colours already: ExtraSamples 1."""
    return tiff_with(encoded(transparent(photo), "TIFF"), 338, 3, 1, b"\1\0\0\0")


def lab(photo: Image.Image) -> bytes:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    picture = ImageCms.applyTransform(photo, transform)
    assert picture
    return encoded(picture, "TIFF")


#: By format and oddity: what makes such a file, what is seen, and how far from it on average. Or the kind of failure.
SHOWN: dict[tuple[str, str], tuple[Any, Any, float]] = {
    ("JPEG", "baseline"): (lambda p: encoded(p, "JPEG", quality=95), same, LOSSY),
    ("JPEG", "progressive"): (lambda p: encoded(p, "JPEG", quality=95, progressive=True), same, LOSSY),
    ("JPEG", "arithmetic coding"): (lambda p: jpeg_of(np.asarray(p), arithmetic=True), same, LOSSY),
    ("JPEG", "arithmetic coding, progressive"): (
        lambda p: jpeg_of(np.asarray(p), arithmetic=True, progressive=True), same, LOSSY,
    ),
    ("JPEG", "lossless (SOF3)"): (lambda p: jpeg_of(np.asarray(p), lossless=True), same, LOSSY),
    ("JPEG", "restart markers"): (lambda p: encoded(p, "JPEG", quality=95, restart_marker_blocks=7), same, LOSSY),
    ("JPEG", "grey"): (lambda p: encoded(p.convert("L"), "JPEG", quality=95), grey, LOSSY),
    ("JPEG", "CMYK"): (lambda p: encoded(p.convert("CMYK"), "JPEG", quality=95), same, LOSSY),
    ("JPEG", "YCCK"): (lambda p: jpeg_of(255 - np.asarray(p.convert("CMYK"))), same, LOSSY),
    ("JPEG", "RGB (Adobe's transform 0)"): (lambda p: encoded(p, "JPEG", quality=95, keep_rgb=True), same, LOSSY),
    ("JPEG", "4:2:0"): (lambda p: encoded(p, "JPEG", quality=95, subsampling=2), same, LOSSY),
    ("JPEG", "without JFIF's segment"): (without_jfif, same, LOSSY),
    ("JPEG", "height behind the scan (DNL)"): (with_dnl, same, LOSSY),
    ("JPEG", "several pictures (MPO)"): (lambda p: animation(p, "MPO", quality=95), same, LOSSY),
    ("JPEG", "gain map (Ultra HDR)"): (with_gain_map, same, LOSSY),
    ("JPEG", "a film behind it (motion photo)"): (motion_photo, same, LOSSY),
    ("PNG", "1 bit"): (lambda p: encoded(p.convert("1"), "PNG"), converted("1"), EXACT),
    ("PNG", "2 bits, palette"): (
        lambda p: encoded(p.quantize(4), "PNG", bits=2), lambda p: np.asarray(p.quantize(4).convert("RGB")), EXACT,
    ),
    ("PNG", "4 bits, palette"): (
        lambda p: encoded(p.quantize(16), "PNG", bits=4), lambda p: np.asarray(p.quantize(16).convert("RGB")), EXACT,
    ),
    ("PNG", "8 bits, palette"): (lambda p: encoded(p.quantize(256), "PNG"), quantized, EXACT),
    ("PNG", "16 bits, grey"): (lambda p: png(grey(p).astype(np.uint16) * 257, 0), grey, EXACT),
    ("PNG", "16 bits, colours"): (lambda p: png(deep(p), 2), same, EXACT),
    ("PNG", "grey with alpha"): (lambda p: encoded(transparent(p, "LA"), "PNG"), grey, EXACT),
    ("PNG", "colours with alpha"): (lambda p: encoded(transparent(p), "PNG"), same, EXACT),
    ("PNG", "interlaced (Adam7)"): (interlaced, same, EXACT),
    ("PNG", "animated"): (lambda p: animation(p, "PNG"), same, EXACT),
    ("PNG", "animated, with a default picture"): (apng_without_its_default, same, EXACT),
    ("PNG", "gamma and chromaticities"): (lambda p: png_with(encoded(p, "PNG"), b"gAMA", b"\0\0\1\0"), same, EXACT),
    ("WebP", "lossy"): (lambda p: encoded(p, "WEBP", quality=95), same, LOSSY),
    ("WebP", "lossless"): (lambda p: encoded(p, "WEBP", lossless=True), same, EXACT),
    ("WebP", "alpha"): (lambda p: encoded(transparent(p), "WEBP", lossless=True), same, EXACT),
    ("WebP", "animated"): (lambda p: animation(p, "WEBP", lossless=True), same, EXACT),
    ("GIF", "interlaced"): (lambda p: encoded(p.quantize(256), "GIF", interlace=1), quantized, EXACT),
    ("GIF", "not interlaced, with a comment"): (
        lambda p: encoded(p.quantize(256), "GIF", interlace=0, comment=b"x" * 1000), quantized, EXACT,
    ),
    ("GIF", "animated"): (lambda p: animation(p.quantize(256).convert("RGB"), "GIF"), quantized, EXACT),
    ("BMP", "24 bits"): (lambda p: encoded(p, "BMP"), same, EXACT),
    ("BMP", "16 bits (5, 6, 5)"): (bmp_of_16_bits, same, LOSSY + 1),
    ("BMP", "8 bits, palette"): (lambda p: encoded(p.quantize(256), "BMP"), quantized, EXACT),
    ("BMP", "1 bit"): (lambda p: encoded(p.convert("1"), "BMP"), converted("1"), EXACT),
    ("BMP", "32 bits with alpha"): (lambda p: encoded(transparent(p), "BMP"), same, EXACT),
    ("BMP", "from the top down"): (bmp_upside_down, same, EXACT),
    **{
        ("TIFF", f"{name}"): (lambda p, one=compression: encoded(p, "TIFF", compression=one), same, loss)
        for name, compression, loss in (
            ("LZW", "tiff_lzw", EXACT),
            ("deflate", "tiff_adobe_deflate", EXACT),
            ("PackBits", "packbits", EXACT),
            ("Zstandard", "zstd", EXACT),
            ("JPEG in strips", "jpeg", LOSSY + 2),
        )
    },
    ("TIFF", "fax, group 4"): (lambda p: encoded(p.convert("1"), "TIFF", compression="group4"), converted("1"), EXACT),
    ("TIFF", "tiles"): (tiled, grey, EXACT),
    ("TIFF", "BigTIFF"): (lambda p: encoded(p, "TIFF", big_tiff=True), same, EXACT),
    ("TIFF", "big-endian"): (lambda p: of_type(p, ">u2", 257, byte_order=">"), grey, EXACT),
    ("TIFF", "several pages"): (lambda p: animation(p, "TIFF"), same, EXACT),
    ("TIFF", "CMYK"): (lambda p: encoded(p.convert("CMYK"), "TIFF"), same, LOSSY),
    ("TIFF", "palette"): (lambda p: encoded(p.quantize(256), "TIFF"), quantized, EXACT),
    ("TIFF", "alpha"): (lambda p: encoded(transparent(p), "TIFF"), same, EXACT),
    ("TIFF", "premultiplied alpha"): (premultiplied, same, EXACT),
    ("TIFF", "Lab"): (lab, same, LOSSY + 1),
    ("TIFF", "1 bit"): (lambda p: bits_of(p, 1), lambda p: (grey(p) >> 7) * np.uint8(255), EXACT),
    ("TIFF", "2 bits"): (lambda p: bits_of(p, 2), lambda p: (grey(p) >> 6) * np.uint8(85), EXACT),
    ("TIFF", "4 bits"): (lambda p: bits_of(p, 4), lambda p: (grey(p) >> 4) * np.uint8(17), EXACT),
    ("TIFF", "8 bits"): (lambda p: of_type(p, "u1", 1), grey, EXACT),
    ("TIFF", "16 bits"): (lambda p: of_type(p, "<u2", 257), grey, EXACT),
    ("AVIF", "8 bits"): (lambda p: encoded(p, "AVIF", quality=95), same, LOSSY),
    ("AVIF", "alpha"): (lambda p: encoded(transparent(p), "AVIF", quality=95), same, LOSSY),
    ("AVIF", "premultiplied alpha"): (
        lambda p: encoded(transparent(p), "AVIF", quality=95, alpha_premultiplied=True), same, LOSSY,
    ),
    ("AVIF", "animated"): (lambda p: animation(p, "AVIF", quality=95), same, LOSSY),
    ("HEIC", "8 bits"): (lambda p: encoded(p, "HEIF", quality=95), same, LOSSY),
    ("HEIC", "10 bits"): (heic_of_10_bits, same, LOSSY),
    ("HEIC", "alpha"): (lambda p: encoded(transparent(p), "HEIF", quality=95), same, LOSSY),
    ("HEIC", "several pictures"): (lambda p: animation(p, "HEIF", quality=95), same, LOSSY),
    ("HEIC", "tiles"): (lambda p: encoded(p, "HEIF", quality=95, tile_size=128), same, LOSSY),
    **{
        (name, oddity): (lambda p, make=make, name=plugin: make(p, name), same, LOSSY)
        for name, plugin in (("AVIF", "AVIF"), ("HEIC", "HEIF"))
        for oddity, make in (
            ("rotated (irot)", coded_on_its_side),
            ("mirrored (imir)", coded_in_a_mirror),
            ("rotated and mirrored", turned_and_mirrored),
            ("rotated, and the same in EXIF", turned_twice_over),
        )
    },
}  # fmt: skip
REFUSED: dict[tuple[str, str], tuple[Any, str]] = {
    ("JPEG", "12 bits"): (lambda p: jpeg_of(np.asarray(p).astype(np.int16) * 16, precision=12), "damaged"),
    ("TIFF", "64 bits, integers"): (lambda p: of_type(p, "<u8", 1), "damaged"),
    ("TIFF", "64 bits, floating point"): (lambda p: of_type(p, "<f8", 1, sample_format=3), "damaged"),
}


def test_the_documentation_has_every_form_and_no_other() -> None:
    page = (ROOT / "docs" / "formats.md").read_text()
    rows = re.findall(r"^\| (\w+) \| ([^|]*;[^|]*) \| ([^|]*) \|$", page, re.MULTILINE)
    documented = {(one, form) for one, shown, _ in rows for form in shown.split("; ")}
    refused = {(one, form) for one, _, not_read in rows for form in not_read.split("; ") if form}

    assert documented == set(SHOWN)
    assert refused == set(REFUSED)


@pytest.mark.parametrize("case", SHOWN, ids=" ".join)
def test_what_is_shown_is_what_was_written(
    case: tuple[str, str], photo: Image.Image, preprocessing: Preprocessing
) -> None:
    make, seen, loss = SHOWN[case]
    decoded = decode(make(photo), preprocessing, MAX_PIXELS)

    assert (decoded.width, decoded.height, decoded.warning) == (*photo.size, None)
    assert on_average(decoded.pixels.astype(np.int16), plain_view(seen(photo), preprocessing)) <= loss


@pytest.mark.parametrize("case", REFUSED, ids=" ".join)
def test_what_is_not_read_says_why(case: tuple[str, str], photo: Image.Image, preprocessing: Preprocessing) -> None:
    make, kind = REFUSED[case]
    with pytest.raises(ImageError) as caught:
        decode(make(photo), preprocessing, MAX_PIXELS)

    assert caught.value.kind == kind
