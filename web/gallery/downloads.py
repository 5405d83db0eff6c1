"""A selection as a file: paths, a table, or a zip of links to the originals; made page by page as it is sent."""

from __future__ import annotations

import csv
import io
import posixpath
import re
import stat
import time
import zipfile
from typing import TYPE_CHECKING

from storage.records import shown
from web.spreadsheet import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from storage.gallery.rows import GalleryImage

_COLUMNS = (
    *(
        "path",
        "label",
        "score",
        "label_source",
        "kind",
        "kind_score",
        "status",
        "error_kind",
        "width",
        "height",
        "size",
    ),
    *("model", "run_id", "content", "image_id"),
)
#: What no file system but those of Unix has in a name.
_ODD = re.compile(r'[\x00-\x1f<>:"/\\|?*\x7f]')
#: Bytes of a name in a zip; a file system takes 255.
_NAME_CHARACTERS = 120


def as_list(pages: Iterable[list[GalleryImage]]) -> Iterator[bytes]:
    """Yield the paths, one a line, as they are on the disk, in their own bytes."""
    for images in pages:
        yield b"".join(image.path.encode(errors="surrogateescape") + b"\n" for image in images)


def as_csv(pages: Iterable[list[GalleryImage]]) -> Iterator[bytes]:
    """Yield a table, in UTF-8 with the mark by which spreadsheets know it."""
    yield "\ufeff".encode() + _lines([(*_COLUMNS, "modified_at", "labelled_at")])
    for images in pages:
        yield _lines([as_text(value) for value in _values(image)] for image in images)


def as_zip(pages: Iterable[list[GalleryImage]]) -> Iterator[bytes]:
    """Yield a zip of symbolic links to the originals, numbered in the gallery's order.

    A zip's directory stands at its end and is held in memory: about 300 bytes an image.
    """
    sink = _Sink()
    number = 0
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for images in pages:
            for image in images:
                number += 1
                link = zipfile.ZipInfo(f"{number:06}-{_safe_name(image.path)}", time.localtime()[:6])
                link.create_system = 3  # Unix, which has links
                link.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(link, image.path.encode(errors="surrogateescape"))
            yield sink.take()
    yield sink.take()


#: By the ending of the address: what makes the file, and its media type.
FORMATS: dict[str, tuple[Callable[[Iterable[list[GalleryImage]]], Iterator[bytes]], str]] = {
    "txt": (as_list, "text/plain; charset=utf-8"),
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "zip": (as_zip, "application/zip"),
}


class _Sink(io.RawIOBase):
    """A file that is only ever written on, and read away meanwhile."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _values(image: GalleryImage) -> Iterator[object]:
    for name in _COLUMNS:
        value = getattr(image, name)
        yield shown(value) if name == "path" else value
    yield image.modified_at.isoformat(timespec="seconds")
    yield image.labelled_at.isoformat(timespec="seconds")


def _safe_name(path: str) -> str:
    """Return a file's name as any system unpacks it, in the folder where it unpacks it."""
    name = _ODD.sub("_", shown(posixpath.basename(path))).strip(". ")
    stem, dot, ending = name.rpartition(".")
    return name if len(name) <= _NAME_CHARACTERS else f"{stem[: _NAME_CHARACTERS - 10]}{dot}{ending[:9]}"
