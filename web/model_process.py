"""What the process that holds the model does: it alone opens what people send."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from archive.failures import ImageError
from archive.reading import read_image
from common.errors import EngineError, ModelError
from host.machine import memory_limit_mb
from host.memory import limit_memory_once_loaded
from models.resolve import resolve
from pictures.thumbnail import whole_thumbnail
from worker.classify import Classifier

if TYPE_CHECKING:
    from common.settings import Settings
    from models.ready_model import ReadyModel
    from worker.classify import Answer

#: Of a preview's longer side.
PREVIEW_PIXELS = 480


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """What one picture shows, and a small copy of it, which any browser can show."""

    answer: Answer
    preview: bytes | None  #: a JPEG; None: it was not asked for, or there is none


def find_model(settings: Settings) -> ReadyModel:
    """Find, check and load the configured model; it is prepared first where no command has done that yet.

    Raises:
        ModelError: no such model, or its weights are missing or damaged.

    """
    ended = signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # with the process that prepares the model
    try:
        ready = resolve(settings)
    finally:
        signal.signal(signal.SIGTERM, ended)
    _classifier(ready, settings)
    return ready


def label_file(path: str, ready: ReadyModel, settings: Settings, *, with_preview: bool) -> Labelled:
    """Label a file, whatever its name says.

    Raises:
        EngineError: the engine raised an error, or answered with what are no probabilities.
        ModelError: the model, which another process like this one loaded before, cannot be loaded any more.

    """
    try:
        (answer,) = _classifier(ready, settings).classify([path])
    except EngineError:
        _classifier.cache_clear()  # what an engine holds after an error is not to be trusted
        raise
    return Labelled(answer=answer, preview=_preview(path, settings) if with_preview and answer.labels else None)


def _preview(path: str, settings: Settings) -> bytes | None:
    try:
        data = read_image(path, [path], settings.max_file_bytes).data
        return whole_thumbnail(data, settings.max_pixels, PREVIEW_PIXELS)
    except ImageError:  # it was labelled a moment ago: memory may be short now
        return None


@lru_cache(maxsize=1)
def _classifier(ready: ReadyModel, settings: Settings) -> Classifier:
    try:
        classifier = Classifier(ready, settings)
    except (RuntimeError, OSError) as error:  # what OpenVINO and torch raise where a device fails them
        raise ModelError(f"{ready.model} cannot be loaded on {ready.engine}: {error}") from error
    limit = memory_limit_mb(settings)
    if limit:
        limit_memory_once_loaded(limit)
    return classifier
