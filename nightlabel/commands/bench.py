"""`nightlabel bench`: how fast this machine labels these photos."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nightlabel import library
from nightlabel.options import FILES, MODEL, Paths, takes_settings
from nightlabel.output import AsJson
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("workers", *MODEL, *FILES)
def bench(paths: Paths, settings: Settings, as_json: AsJson = False) -> None:
    """Measure, in about a minute, how fast this machine labels these images, and how long all of them will take.

    Example: nightlabel bench /mnt/photos
    """
    from nightlabel.bench_display import BenchLines

    display = BenchLines(is_aside=as_json)
    measured = library.bench(paths, display, settings)
    display.conclusion(measured)
    if as_json:
        say(json.dumps(measured.as_json(), indent=2))
