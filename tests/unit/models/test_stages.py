"""Batches of one model, and of two: filled across a chunk, whatever stands beside an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.stages import Batches, Stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Of a picture's first pixel: from it on, the quick engine is sure.
SURE_FROM = 100


class Recorder:
    """Answers with a probability that the picture's first pixel gives it, and records its batches."""

    def __init__(self, sure_from: int) -> None:
        self._sure_from = sure_from
        self.batches: list[list[int]] = []

    def classify(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = [int(picture[0, 0, 0]) for picture in batch]
        self.batches.append(pixels)
        return np.array([[0.9, 0.1] if pixel >= self._sure_from else [0.51, 0.49] for pixel in pixels], np.float32)


def picture(value: int) -> NDArray[np.uint8]:
    return np.full((2, 2, 3), value, np.uint8)


def classify(stages: tuple[Stage, ...], values: list[int], batch_size: int) -> dict[int, tuple[str, float]]:
    batches: Batches[int] = Batches(stages, batch_size)
    answers = [answer for value in values for answer in batches.add(value, picture(value))]
    answers += batches.flush()
    assert sorted(answer.of for answer in answers) == sorted(values)
    return {answer.of: (answer.precision, float(answer.probabilities[0])) for answer in answers}


def test_one_model_answers_in_batches_and_at_the_end_what_is_left() -> None:
    engine = Recorder(SURE_FROM)
    found = classify((Stage(engine, "fp32", 0.0),), [1, 2, 3, 4, 5], 2)
    assert engine.batches == [[1, 2], [3, 4], [5]]
    assert {precision for precision, _ in found.values()} == {"fp32"}


def test_what_the_quick_one_is_not_sure_of_fills_batches_of_the_full_one_across_the_chunk() -> None:
    quick, full = Recorder(SURE_FROM), Recorder(0)
    stages = Stage(quick, "int8", 1.0), Stage(full, "fp32", 0.0)
    values = [1, 101, 102, 2, 103, 3, 104, 4, 105, 5]

    found = classify(stages, values, 3)

    assert quick.batches == [[1, 101, 102], [2, 103, 3], [104, 4, 105], [5]]
    assert full.batches == [[1, 2, 3], [4, 5]]
    assert {value: precision for value, (precision, _) in found.items()} == {
        value: "int8" if value >= SURE_FROM else "fp32" for value in values
    }
    assert [score for _, score in found.values()] == pytest.approx([0.9] * len(values))


def test_the_time_of_an_image_is_that_of_both_models_where_both_were_asked() -> None:
    batches: Batches[int] = Batches((Stage(Recorder(200), "int8", 1.0), Stage(Recorder(0), "fp32", 0.0)), 1)
    (answer,) = batches.add(1, picture(1))
    assert answer.precision == "fp32"
    assert answer.infer_ms > 0
