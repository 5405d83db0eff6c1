"""How many images a second one core classifies, in each precision that this machine has."""

from __future__ import annotations

import itertools
from time import perf_counter
from typing import TYPE_CHECKING

from models.resolve import resolve
from models.stages import Batches, load_stages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from common.settings import Settings


def inference_speed(settings: Settings, views: NDArray[np.uint8], seconds: float) -> float:
    """Return the images a second that one core classifies with the configured model.

    Args:
        settings: the model, its precision, and the batch size.
        views: pictures of the archive as the model sees them, uint8 `[N, H, W, 3]`, over and over: of a cascade, they
            decide how often the full model is asked.
        seconds: how long it is measured, at least.

    Raises:
        ModelError: the model does not run in this precision here, or was not calibrated for it yet.

    """
    stages = load_stages(resolve(settings), settings.batch_size)
    for stage in stages:
        stage.engine.classify(views[: settings.batch_size])  # the first answer takes longer
    batches: Batches[None] = Batches(stages, settings.batch_size)
    images = 0
    begun = perf_counter()
    for view in itertools.cycle(views):
        images += len(list(batches.add(None, view)))
        if perf_counter() - begun >= seconds and images:
            break
    return images / (perf_counter() - begun)
