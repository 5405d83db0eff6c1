"""Label a few files here and now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archive.scan import find_image
from host.machine import available_cpus
from models.resolve import resolve
from storage.records import ChunkImage, shown, total_of
from vocabulary.names import kind_name, label_name
from worker.labelling import Labeller

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.records import Outcome


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one file shows."""

    path: str
    labels: tuple[tuple[str, float], ...] = ()  #: best first, as probabilities; empty: it could not be labelled
    kind: str | None = None  #: what people call it, over all labels; None: the model's labels have no kinds
    kind_score: float | None = None
    width: int | None = None  #: pixels, of the upright picture
    height: int | None = None
    error_kind: str | None = None
    error: str | None = None
    warning: str | None = None  #: with labels: what is known of damage to the picture
    random_weights: bool
    read_ms: float | None = None
    decode_ms: float | None = None
    infer_ms: float | None = None

    @property
    def total_ms(self) -> float | None:
        """Milliseconds of work for this file."""
        return total_of(self.read_ms, self.decode_ms, self.infer_ms)

    def as_json(self, language: str) -> dict[str, Any]:
        """Return it for other programs, with the names that a language has besides."""
        return {"path": shown(self.path), **self.found_as_json(language), "random_weights": self.random_weights}

    def found_as_json(self, language: str) -> dict[str, Any]:
        """Return what was found in the file, whatever its name and the model."""
        return {
            "labels": [
                {"label": label, "score": score, "name": label_name(label, language)} for label, score in self.labels
            ],
            "kind": self.kind,
            "kind_score": self.kind_score,
            "kind_name": self.kind and kind_name(self.kind, language),
            "width": self.width,
            "height": self.height,
            "warning": self.warning,
            "error_kind": self.error_kind,
            "error": self.error,
            "read_ms": self.read_ms,
            "decode_ms": self.decode_ms,
            "infer_ms": self.infer_ms,
            "total_ms": self.total_ms,
        }


class Classifier:
    """A warm model, and all of this machine's CPUs for it: for files that are labelled here and now.

    Args:
        ready: the model.
        settings: limits on what is labelled.
        at_once: files that are classified together, at most; a single one must not wait for others.

    Raises:
        ModelError: the engine cannot load the model.

    """

    def __init__(self, ready: ReadyModel, settings: Settings, at_once: int = 1) -> None:
        settings = settings.model_copy(update={"batch_size": min(settings.batch_size, at_once)})
        self._labeller = Labeller(ready, settings, threads=available_cpus())
        self._is_random = ready.model.is_random

    def classify(self, files: Sequence[str]) -> list[Answer]:
        """Return the labels of each file, in the order given.

        Raises:
            ArchiveError: one is of a kind of place that is not known here.
            EngineError: the engine raised an error, or answered with what are no probabilities.

        """
        locations = [find_image(file) for file in files]
        images = [ChunkImage(position, location) for position, location in enumerate(locations)]
        # Whatever is named may be read.
        outcomes = sorted(self._labeller.label(images, locations), key=lambda outcome: outcome.image_id)
        return [self._answer(file, outcome) for file, outcome in zip(files, outcomes, strict=True)]

    def _answer(self, file: str, outcome: Outcome) -> Answer:
        return Answer(
            path=file,
            labels=outcome.labels,
            kind=outcome.kind,
            kind_score=outcome.kind_score,
            width=outcome.width,
            height=outcome.height,
            error_kind=outcome.error_kind,
            error=outcome.error,
            warning=outcome.warning,
            random_weights=self._is_random,
            read_ms=outcome.read_ms,
            decode_ms=outcome.decode_ms,
            infer_ms=outcome.infer_ms,
        )


def classify_files(files: Sequence[str], settings: Settings) -> list[Answer]:
    """Return the labels of each file, in the order given.

    Raises:
        ArchiveError: one is of a kind of place that is not known here.
        ModelError: no such model, or its weights are missing or damaged.

    """
    return Classifier(resolve(settings), settings, at_once=len(files)).classify(files)
