"""Is a file an image? By its name where that is clear, else by its first bytes."""

from __future__ import annotations

#: Names that say «image». Whether they tell the truth is found when the file is decoded: a wrong one fails.
IMAGE_SUFFIXES = tuple(
    f".{suffix}"
    for suffix in "jpg jpeg jpe jfif mpo png apng webp gif bmp dib tif tiff avif heic heif hif".split()  # noqa: SIM905
)
_SUFFIXES = frozenset(IMAGE_SUFFIXES)

#: First bytes of a file that `is_image_head` and `media_type` need.
HEAD_BYTES = 32
#: What each format's files begin with, and what the format is called in `Content-Type`. Sources: the formats'
#: specifications; IANA's registry of media types.
_MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\x00": "image/tiff",  # little endian
    b"MM\x00*": "image/tiff",
    b"II+\x00": "image/tiff",  # BigTIFF
    b"MM\x00+": "image/tiff",
}
#: ISO base media brands of still pictures; films begin alike, with other brands.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), "image/heic"),
    **dict.fromkeys((b"hevc", b"hevx"), "image/heic-sequence"),
    b"mif1": "image/heif",
    b"msf1": "image/heif-sequence",
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
}
#: Bytes 6 to 9 of a bitmap are reserved and zero: two letters alone begin many a text.
_BITMAP_RESERVED = slice(6, 10)


def has_image_suffix(name: str) -> bool:
    dot = name.rfind(".")
    return dot > 0 and name[dot:].lower() in _SUFFIXES


def is_image_head(head: bytes) -> bool:
    """Tell whether the first `HEAD_BYTES` of a file, or more, are those of a supported format."""
    return media_type(head) is not None


def media_type(head: bytes) -> str | None:
    """Return what a format is called in `Content-Type`, by the first `HEAD_BYTES` of a file, or more.

    None: they are those of no supported format.
    """
    if head.startswith(b"BM"):
        return "image/bmp" if head[_BITMAP_RESERVED] == bytes(4) else None
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    if head.startswith(b"RIFF"):
        return "image/webp" if head[8:12] == b"WEBP" else None
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
