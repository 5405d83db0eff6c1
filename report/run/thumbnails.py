"""Small pictures of labelled images: each is shown only if its bytes are still those that got the label."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archive.failures import ImageError
from archive.location import name_below
from archive.reading import Reader
from common.errors import ArchiveError
from pictures.thumbnail import thumbnail
from storage.records import ChunkImage, shown
from vocabulary.names import label_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archive.reading import ImageFile
    from common.settings import Settings
    from storage.records import LabelledImage, Run

#: Seconds that a disk which does not answer may keep the page waiting for a few pictures.
_SILENT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A small picture of what the model saw: the centre crop."""

    path: str
    name: str  #: the path below the run's folder, if it has one alone
    label: str  #: its name, in the page's language
    score: float
    data_url: str | None  #: None: the picture that was labelled is not there now
    why_none: str = ""


def thumbnails(images: Sequence[LabelledImage], run: Run, settings: Settings, language: str) -> list[Thumbnail]:
    """Read these images of a run from its archive, and make them small; of one that cannot be shown, say why."""
    reader = Reader(settings.max_file_bytes, _SILENT_S)
    reading = reader.ahead([ChunkImage(number, image.path) for number, image in enumerate(images)], run.roots)
    return [_thumbnail(image, read, run, settings, language) for image, (_, read) in zip(images, reading, strict=True)]


def _thumbnail(
    image: LabelledImage, read: Callable[[], ImageFile], run: Run, settings: Settings, language: str
) -> Thumbnail:
    data_url, why_none = None, ""
    try:
        file = read()
        if file.is_version(image.size, image.mtime_ns, image.content):
            data_url = _data_url(thumbnail(file.data, run.model.preprocessing, settings.max_pixels))
        else:
            why_none = "changed since"
    except (ArchiveError, ImageError):
        why_none = "not readable now"
    name = name_below(image.path, run.roots[0]) if len(run.roots) == 1 else image.path
    return Thumbnail(
        path=shown(image.path),
        name=shown(name),
        label=label_name(image.label, language),
        score=image.score,
        data_url=data_url,
        why_none=why_none,
    )


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
