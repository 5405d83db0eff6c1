"""Make an archive, and look at what a scan finds in it."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from PIL import Image

from archive.counts import ScanCounts
from archive.scan import scan

if TYPE_CHECKING:
    from pathlib import Path

_buffer = io.BytesIO()
Image.new("RGB", (8, 8)).save(_buffer, "PNG")
PICTURE = _buffer.getvalue()


def put(root: Path, *names: str, content: bytes = PICTURE) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def found(root: Path, *, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[str]:
    """Return the paths below the root of the images that a scan finds."""
    refs = scan([str(root)], include, exclude, counts=ScanCounts())
    return [os.path.relpath(ref.path, root) for ref in refs]


def counted(root: Path) -> ScanCounts:
    counts = ScanCounts()
    list(scan([str(root)], counts=counts))
    return counts
