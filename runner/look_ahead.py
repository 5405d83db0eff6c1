"""What a person should know before a large archive is labelled: how long it will take, and what would be faster.

The archive is looked at for a moment, and a few of its images are decoded and classified, in a process of its own,
`python -P -m runner.look_ahead`, so that a decoder that crashes on one does not end the command. Its settings are its
environment.
"""

from __future__ import annotations

import json
from time import perf_counter
from typing import TYPE_CHECKING

from archive.sample import draw_sample
from common.errors import NightlabelError
from common.settings import load_settings
from models.precisions import CASCADE
from models.resolve import find_calibrated_for, resolve
from models.subprocess_steps import main
from report.words import duration
from runner.advice import LEAST_GAIN, advise
from runner.calibration import read_views
from runner.own_process import ask_with_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.settings import Settings

#: Images from which on an archive is large; one that is not whole after the look is, too.
LARGE = 20_000
#: Seconds that looking for images may take: nobody labels meanwhile.
_LOOK_S = 3.0
#: Images that are decoded and classified.
_IMAGES = 24
#: Seconds that each precision is measured.
_INFERENCE_S = 0.5
#: Images whose time is told where nobody knows yet how many there are.
_MANY = 100_000


def look_ahead(settings: Settings, roots: Sequence[str], workers: int) -> str | None:
    """Return how long a large archive takes with so many workers, and what would be faster; None: it is not large."""
    try:
        drawn = draw_sample(roots, settings, _IMAGES, _LOOK_S)
        if drawn.is_whole and drawn.found < LARGE:
            return None
        question = {
            "paths": [ref.path for ref in drawn.refs],
            "images": drawn.found if drawn.is_whole else max(drawn.found, _MANY),
            "workers": workers,
        }
        answer = ask_with_settings("runner.look_ahead", question=json.dumps(question), settings=settings)
    except NightlabelError:
        return None  # whatever it is, the run will meet it, and say so
    said: str | None = json.loads(answer.splitlines()[-1])
    return said


def _step(paths: Sequence[str], images: int, workers: int) -> str | None:
    import numpy as np

    from runner.inference_speed import inference_speed

    settings = load_settings()
    ready = resolve(settings)
    begun = perf_counter()
    views = [view for view in read_views(paths, settings, ready.model.preprocessing) if view is not None]
    if not views:
        return None
    decode_s = (perf_counter() - begun) / len(paths)
    pictures = np.stack(views)
    usual_s = decode_s + 1 / inference_speed(settings, pictures, _INFERENCE_S)
    night_s = images * usual_s / workers
    own = settings.model_copy(update={"precision": CASCADE})
    calibrated = find_calibrated_for(own)
    if calibrated is None:
        return (
            f"{images:,} images take about {duration(night_s)} in {ready.model.precision}. `nightlabel bench` measures"
            f" how much faster --precision {CASCADE} is here, and how many labels stay the same."
        )
    cascade_s = decode_s + 1 / inference_speed(own, pictures, _INFERENCE_S)
    advice = advise(ready.model.precision, usual_s, cascade_s, calibrated)
    return advice.with_times(images, night_s) if advice.gain >= LEAST_GAIN else None


if __name__ == "__main__":
    main(_step)
