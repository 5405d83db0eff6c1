"""Label a few files here and now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archive.scan import find_image
from host.machine import available_cpus
from models.resolve import resolve
from storage.records import ChunkImage, shown
from worker.labelling import Labeller

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one file shows."""

    path: str
    labels: tuple[tuple[str, float], ...]  #: best first, as probabilities; empty: it could not be labelled
    error_kind: str | None
    error: str | None
    warning: str | None  #: with labels: what is known of damage to the picture
    random_weights: bool

    def lines(self) -> list[str]:
        """Return what the terminal shows."""
        if not self.labels:
            return [shown(self.path), f"   failed ({self.error_kind}): {self.error}"]
        warnings = ["   RANDOM WEIGHTS: these labels mean nothing"] if self.random_weights else []
        warnings += [f"   warning: damaged in part: {self.warning}"] if self.warning else []
        return [shown(self.path), *warnings, *(f"{score:7.1%}  {label}" for label, score in self.labels)]

    def as_json(self) -> dict[str, Any]:
        """Return the same for other programs."""
        return {
            "path": shown(self.path),
            "labels": [{"label": label, "score": score} for label, score in self.labels],
            "error_kind": self.error_kind,
            "error": self.error,
            "warning": self.warning,
            "random_weights": self.random_weights,
        }


def classify_files(files: Sequence[str], settings: Settings) -> list[Answer]:
    """Return the labels of each file, in the order given.

    Raises:
        ArchiveError: one is of a kind of place that is not known here.
        ModelError: no such model, or its weights are missing or damaged.

    """
    ready = resolve(settings)
    batch_size = min(settings.batch_size, len(files))  # a single image must not wait for a batch
    labeller = Labeller(ready, settings.model_copy(update={"batch_size": batch_size}), threads=available_cpus())
    locations = [find_image(file) for file in files]
    images = [ChunkImage(position, location) for position, location in enumerate(locations)]
    # Whatever is named on the command line may be read.
    outcomes = sorted(labeller.label(images, locations), key=lambda outcome: outcome.image_id)
    return [
        Answer(
            path=file,
            labels=outcome.labels,
            error_kind=outcome.error_kind,
            error=outcome.error,
            warning=outcome.warning,
            random_weights=ready.model.is_random,
        )
        for file, outcome in zip(files, outcomes, strict=True)
    ]
