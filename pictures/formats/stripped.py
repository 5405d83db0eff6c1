"""A picture's file without its metadata, and what the formats share in making it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Part = TypeVar("Part")

#: Bytes in a row. Coders leave no redundancy of such a length; disks and downloads do where a block was never written.
_ZERO_RUN = bytes(64)
ZERO_RUN_WARNING = f"its coded pixels contain a run of {len(_ZERO_RUN)} or more zero bytes"

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
class StrippedFile:
    """A picture's file without metadata: only what changes its pixels."""

    data: bytes
    orientation: int | None = 1  #: EXIF's, 1 to 8; None: the decoder tells it
    has_end: bool = True  #: its end marker is there, or it needs none; one that was missing has been added
    warning: str | None = None  #: what the file's own check sums and lengths say of damage to its pixels


def has_zero_run(data: bytes, begin: int, end: int) -> bool:
    """Tell whether a block of zeros lies in coded pixels; those behind the last of them are padding."""
    at = data.find(_ZERO_RUN, begin, end)
    return at >= 0 and any(data[at:end])
