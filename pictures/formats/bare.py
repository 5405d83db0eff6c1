"""What a walk through a picture's file gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Part = TypeVar("Part")

#: Bytes in a row. Coders leave no redundancy of such a length; disks and downloads do where a block was never written.
_HOLE = bytes(64)
HOLE_COMPLAINT = f"{len(_HOLE)} or more zeros in a row lie in its coded pixels"

#: Segments, chunks or boxes of a file that are looked at; 256 MB in chunks of 8 KiB have 32,768. Each costs memory, so
#: a file made of nothing else must not have as many as it likes.
MOST_PARTS = 500_000


def bounded(parts: Iterator[Part]) -> Iterator[Part]:
    """Yield the parts of a file.

    Raises:
        ValueError: there are more than `MOST_PARTS`.

    """
    for number, part in enumerate(parts):
        if number == MOST_PARTS:
            raise ValueError("a file of nothing but heads")
        yield part


@dataclass(frozen=True)
class Bare:
    """A picture's file without what does not change its pixels."""

    data: bytes
    orientation: int | None = 1  #: EXIF's, 1 to 8; None: the decoder tells it
    ended: bool = True  #: its end marker is there, or it needs none; one that was missing has been put
    complaint: str | None = None  #: what the file's own check sums and lengths say of its pixels


def has_hole(data: bytes, begin: int, end: int) -> bool:
    """Tell whether a block of zeros lies in coded pixels; those behind the last of them are padding."""
    at = data.find(_HOLE, begin, end)
    return at >= 0 and any(data[at:end])
