"""A worker whose model is not there: it stores made-up labels, and so shows what everything around the model costs."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

import worker.labelling
from benchmarks.planted import CHUNK_IMAGES
from benchmarks.simulated_worker import outcomes_of
from common.settings import load_settings
from worker.service import serve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.ready_model import ReadyModel
    from storage.records import ChunkImage, Outcome
    from worker.copies import Copies


class NullLabeller(worker.labelling.Labeller):
    """Answers unread and undecoded, as a night does: labels with their kinds, contents in no order."""

    def __init__(self, ready: ReadyModel, *_: object) -> None:
        self._labels = ready.categories
        self._draw = np.random.default_rng()

    @property
    def has_answered(self) -> bool:
        return True

    def label(
        self,
        images: Sequence[ChunkImage],
        roots: Sequence[str],  # noqa: ARG002 - nothing is read
        copies: Copies | None = None,  # noqa: ARG002 - each has a content of its own
    ) -> list[Outcome]:
        found: list[Outcome] = []
        for start in range(0, len(images), CHUNK_IMAGES):
            some = images[start : start + CHUNK_IMAGES]
            made_up = outcomes_of(self._draw, self._labels, some)
            found += [_as_seen(outcome, image.path) for outcome, image in zip(made_up, some, strict=True)]
        return found


def _as_seen(outcome: Outcome, path: str) -> Outcome:
    """Return an outcome of the version of the file that is there, where one is."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return outcome
    return replace(outcome, size=status.st_size, mtime_ns=status.st_mtime_ns)


if __name__ == "__main__":
    worker.labelling.Labeller = NullLabeller  # type: ignore[misc]
    sys.exit(serve(load_settings()))
