"""Label images: read, decode, classify in batches, keep the best three. No queue, no database."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from celery.exceptions import SoftTimeLimitExceeded

from archive.failures import FailureKind, ImageError
from archive.reading import Reader
from models.stages import Batches, load_stages
from pictures.decoding import decode
from storage.records import Outcome
from vocabulary.sums import KindSums
from worker.checked_engine import CheckedEngine
from worker.failed_outcome import failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from archive.reading import ImageFile
    from common.settings import Settings
    from models.ready_model import ReadyModel
    from models.stages import Answer
    from storage.records import ChunkImage
    from worker.copies import Copies

LABELS_KEPT = 3
#: What `check` shows the model.
_GREY = 127


class Labeller:
    """A warm model, and the limits on what it is given. One per process and model."""

    def __init__(self, ready: ReadyModel, settings: Settings, threads: int = 1) -> None:
        stages = load_stages(ready, settings.batch_size, threads)
        self._engines = [CheckedEngine(stage.engine.classify, len(ready.categories)) for stage in stages]
        self._stages = [stage._replace(engine=engine) for stage, engine in zip(stages, self._engines, strict=True)]
        self._categories = ready.categories
        self._kinds = KindSums.for_labels(ready.categories)
        self._preprocessing = ready.model.preprocessing
        self._batch_size = settings.batch_size
        self._reader = Reader(settings.max_file_bytes, settings.silent_s)
        self._max_pixels = settings.max_pixels
        self._time_limit_s = settings.soft_time_limit_s

    @property
    def has_answered(self) -> bool:
        """Whether the engine has given probabilities for any picture."""
        return any(engine.has_answered for engine in self._engines)

    def label(self, images: Sequence[ChunkImage], roots: Sequence[str], copies: Copies | None = None) -> list[Outcome]:
        """Return one outcome per image, in no particular order.

        Args:
            images: to be labelled.
            roots: of the archive.
            copies: takes images whose bytes have labels: they are read, and have no outcome here. None: all are
                computed.

        Raises:
            SoftTimeLimitExceeded: Celery's, unless one image alone has used up half of the time: then that
                image is the one to blame, and fails.

        """
        return list(self._outcomes(images, roots, copies))

    def _outcomes(self, images: Sequence[ChunkImage], roots: Sequence[str], copies: Copies | None) -> Iterator[Outcome]:
        batches: Batches[Outcome] = Batches(self._stages, self._batch_size)
        for image, reading in self._reader.ahead(images, roots):
            begun = perf_counter()
            file: ImageFile | None = None
            try:
                file = reading()
                if copies and copies.take(image, file):
                    continue
                outcome, pixels = self._decode(image, file)
                if copies:
                    copies.add_decoded(image, file)
            except ImageError as error:
                yield failed(
                    image, error.kind, str(error), file, is_transient=error.is_transient, version=error.version
                )
                continue
            except SoftTimeLimitExceeded:
                spent = perf_counter() - begun
                if spent < self._time_limit_s / 2:
                    raise
                doing = "decoded" if file else "read"
                yield failed(image, FailureKind.TIMEOUT, f"not {doing} after {spent:.0f} s", file)
                continue
            yield from map(self._labelled, batches.add(outcome, pixels))
        yield from map(self._labelled, batches.flush())

    def _decode(self, image: ChunkImage, file: ImageFile) -> tuple[Outcome, NDArray[np.uint8]]:
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
        return outcome, picture.pixels

    def check(self) -> None:
        """Have the engine answer for a grey picture.

        Raises:
            EngineError: it raises an error instead.

        """
        side = self._preprocessing.crop_size
        for engine in self._engines:
            engine.classify(np.full((1, side, side, 3), _GREY, np.uint8))

    def _labelled(self, answer: Answer[Outcome]) -> Outcome:
        probabilities = answer.probabilities
        best = np.argsort(-probabilities, kind="stable")[:LABELS_KEPT]
        labels = tuple((self._categories[index], float(probabilities[index])) for index in best)
        computed_in = answer.precision if len(self._stages) > 1 else None
        outcome = replace(answer.of, labels=labels, infer_ms=answer.infer_ms, computed_in=computed_in)
        if self._kinds is None:
            return outcome
        kinds = self._kinds.of(probabilities, best.tolist())
        return replace(outcome, kind=kinds.kind, kind_score=kinds.score, things=kinds.things)
