"""Is a file an image? By its name where that is clear, else by its first bytes."""

from __future__ import annotations

#: Names that say «image». Whether they tell the truth is found when the file is decoded: a wrong one fails.
IMAGE_SUFFIXES = tuple(
    f".{suffix}"
    for suffix in "jpg jpeg jpe jfif mpo png apng webp gif bmp dib tif tiff avif heic heif hif".split()  # noqa: SIM905
)

#: First bytes of a file that `is_image_head` needs.
HEAD_BYTES = 32
#: Sources: the formats' specifications; each is what its files begin with.
_MAGIC = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\x00",  # TIFF, little endian
    b"MM\x00*",
    b"II+\x00",  # BigTIFF
    b"MM\x00+",
)
#: ISO base media brands of still pictures; films begin alike, with other brands.
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
#: Bytes 6 to 9 of a bitmap are reserved and zero: two letters alone begin many a text.
_BITMAP_RESERVED = slice(6, 10)


def has_image_suffix(name: str) -> bool:
    return name.rfind(".") > 0 and name.lower().endswith(IMAGE_SUFFIXES)


def is_image_head(head: bytes) -> bool:
    """Tell whether the first `HEAD_BYTES` of a file, or more, are those of a supported format."""
    if head.startswith(b"BM"):
        return head[_BITMAP_RESERVED] == bytes(4)
    if head[4:8] == b"ftyp":
        return head[8:12] in _BRANDS
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WEBP"
    return head.startswith(_MAGIC)
