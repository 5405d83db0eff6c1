"""Calibrate a model on a sample of an archive: draw it, read and decode it, and hand the pixels to `models.calibrate`.

That happens in a process of its own, `python -P -m runner.calibration`, so that a decoder that crashes on an image does
not end the command, and NNCF's memory goes with it. Its settings are its environment.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from archive.failures import ImageError
from archive.reading import Reader
from archive.sample import draw_sample
from archive.scan import find_roots
from common.errors import ModelError
from common.settings import load_settings
from models.calibrated import MAX_CALIBRATION_IMAGES, MAX_MEASURED_IMAGES
from models.resolve import calibrate_for, find_calibrated_for
from models.subprocess_steps import main
from runner.own_process import ask_with_settings
from storage.records import ChunkImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from common.settings import Settings
    from models.calibrated import Calibrated
    from storage.records import Preprocessing

#: Seconds that looking for images to calibrate or to compare on may take, on an archive of millions.
SAMPLE_S = 20.0


def calibrate_on(settings: Settings, paths: Sequence[str], *, anew: bool = False) -> Calibrated:
    """Calibrate the configured model on a sample of the images under these paths, unless it is calibrated already.

    Args:
        settings: the model, in int8 or as a cascade, and which of the images count.
        paths: folders or image files.
        anew: also where it is calibrated already.

    Raises:
        ArchiveError: a path is missing or unreadable.
        ModelError: NNCF is missing, too few images can be read, or it disagrees with fp32 too often; or as
            `models.resolve.resolve` says.

    """
    roots = find_roots(paths)
    found = None if anew else find_calibrated_for(settings)
    if found is None:
        _calibrate_apart(settings, roots, anew=anew)
        found = find_calibrated_for(settings)
    if found is None:
        raise ModelError(f"{settings.model} was calibrated, but the result is gone from {settings.cache_dir}.")
    return found


def draw_views(
    roots: Sequence[str], settings: Settings, preprocessing: Preprocessing
) -> list[NDArray[np.uint8] | None]:
    """Return a sample of the images under these roots as `read_views` does: for calibration, and for measuring it."""
    drawn = draw_sample(roots, settings, MAX_CALIBRATION_IMAGES + MAX_MEASURED_IMAGES, SAMPLE_S)
    return read_views([ref.path for ref in drawn.refs], settings, preprocessing)


def read_views(
    paths: Sequence[str], settings: Settings, preprocessing: Preprocessing
) -> list[NDArray[np.uint8] | None]:
    """Return each image as the model sees it, uint8 `[H, W, 3]`, RGB; None if it cannot be read or decoded."""
    from pictures.decoding import decode  # with Pillow, numpy and Celery, which the command itself does not need

    views: list[NDArray[np.uint8] | None] = []
    images = [ChunkImage(number, path) for number, path in enumerate(paths)]
    for _, reading in Reader(settings.max_file_bytes, settings.silent_s).ahead(images, ["/"]):
        try:
            views.append(decode(reading().data, preprocessing, settings.max_pixels).pixels)
        except ImageError:
            views.append(None)  # its outcome will say why when it is labelled
    return views


def _calibrate_apart(settings: Settings, roots: Sequence[str], *, anew: bool) -> None:
    """Calibrate in a process of its own, with these settings and no others.

    Raises:
        ArchiveError: a path became unreadable meanwhile.
        ModelError: it failed, or was killed.

    """
    question = json.dumps({"roots": list(roots), "anew": anew})
    ask_with_settings("runner.calibration", question=question, settings=settings)


def _step(roots: Sequence[str], *, anew: bool) -> None:
    settings = load_settings()
    calibrate_for(settings, partial(draw_views, roots, settings), anew=anew)


if __name__ == "__main__":
    main(_step)
