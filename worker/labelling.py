"""Label images: read, decode, classify in batches, keep the best three. No queue, no database."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from celery.exceptions import SoftTimeLimitExceeded

from archive.failures import FailureKind, ImageError
from archive.reading import Reader
from common.errors import EngineError
from models.engines import load_engine
from pictures.decoding import decode
from storage.records import Outcome
from worker.failed_outcome import failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from archive.reading import ImageFile
    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.records import ChunkImage

LABELS_KEPT = 3
#: By which the probabilities of an image may miss a sum of 1, where the engine computes in 16 bits.
_SUM_TOLERANCE = 0.05
#: What `check` shows the model.
_GREY = 127


class _Waiting(NamedTuple):
    """A decoded image whose batch is not full yet: its outcome without labels."""

    outcome: Outcome
    pixels: NDArray[np.uint8]


class Labeller:
    """A warm model, and the limits on what it is given. One per process and model."""

    def __init__(self, ready: ReadyModel, settings: Settings, threads: int = 1) -> None:
        self._engine = load_engine(ready, settings.batch_size, threads)
        self._categories = ready.categories
        self._preprocessing = ready.model.preprocessing
        self._batch_size = settings.batch_size
        self._reader = Reader(settings.max_file_bytes, settings.silent_s)
        self._max_pixels = settings.max_pixels
        self._time_limit_s = settings.soft_time_limit_s
        self.has_answered = False  #: whether the engine has given probabilities for any picture

    def label(self, images: Sequence[ChunkImage], roots: Sequence[str]) -> list[Outcome]:
        """Return one outcome per image, in no particular order.

        Raises:
            SoftTimeLimitExceeded: Celery's, unless one image alone has used up half of the time: then that
                image is the one to blame, and fails.

        """
        return list(self._outcomes(images, roots))

    def _outcomes(self, images: Sequence[ChunkImage], roots: Sequence[str]) -> Iterator[Outcome]:
        batch: list[_Waiting] = []
        for image, reading in self._reader.ahead(images, roots):
            begun = perf_counter()
            file: ImageFile | None = None
            try:
                file = reading()
                batch.append(self._decode(image, file))
            except ImageError as error:
                yield failed(
                    image, error.kind, str(error), file, is_transient=error.is_transient, version=error.version
                )
            except SoftTimeLimitExceeded:
                spent = perf_counter() - begun
                if spent < self._time_limit_s / 2:
                    raise
                doing = "decoded" if file else "read"
                yield failed(image, FailureKind.TIMEOUT, f"not {doing} after {spent:.0f} s", file)
            if len(batch) == self._batch_size:
                yield from self._classify(batch)
                batch = []
        if batch:
            yield from self._classify(batch)

    def _decode(self, image: ChunkImage, file: ImageFile) -> _Waiting:
        started = perf_counter()
        picture = decode(file.data, self._preprocessing, self._max_pixels)
        outcome = Outcome(
            image_id=image.image_id,
            width=picture.width,
            height=picture.height,
            size=file.size,
            mtime_ns=file.mtime_ns,
            content=file.content,
            read_ms=file.read_ms,
            decode_ms=(perf_counter() - started) * 1000,
            warning=picture.warning,
        )
        return _Waiting(outcome, picture.pixels)

    def check(self) -> None:
        """Have the engine answer for a grey picture.

        Raises:
            EngineError: it raises an error instead.

        """
        side = self._preprocessing.crop_size
        self._probabilities(np.full((1, side, side, 3), _GREY, np.uint8))

    def _classify(self, batch: Sequence[_Waiting]) -> Iterator[Outcome]:
        started = perf_counter()
        probabilities = self._probabilities(np.stack([waiting.pixels for waiting in batch]))
        infer_ms = (perf_counter() - started) * 1000 / len(batch)
        for waiting, row in zip(batch, probabilities, strict=True):
            yield replace(waiting.outcome, labels=self._best(row), infer_ms=infer_ms)

    def _probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the engine's answer, if it is one: NaN, too, has a best class and a label that looks right.

        Raises:
            EngineError: it raised an error, or its answer is no array of probabilities.

        """
        try:
            probabilities = self._engine.classify(pixels)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            raise EngineError(f"the engine raised {type(error).__name__}: {error}") from error
        shape = len(pixels), len(self._categories)
        if probabilities.shape != shape:
            raise EngineError(f"the engine answered with an array of {probabilities.shape}, not of {shape}")
        sums = probabilities.sum(axis=1)
        if not (np.abs(sums - 1) <= _SUM_TOLERANCE).all() or probabilities.min() < 0:
            raise EngineError(f"the engine's answer is no probabilities: they add up to {sums.tolist()}")
        self.has_answered = True
        return probabilities

    def _best(self, probabilities: NDArray[np.float32]) -> tuple[tuple[str, float], ...]:
        best = np.argsort(-probabilities, kind="stable")[:LABELS_KEPT]
        return tuple((self._categories[index], float(probabilities[index])) for index in best)
