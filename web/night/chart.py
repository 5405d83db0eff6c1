"""The chart of a run's speed, as what SVG draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from web.night.situation import Speed

#: Units of the drawing, which is stretched to the page.
WIDTH, HEIGHT = 600, 120
_LEAST_POINTS = 2


@dataclass(frozen=True)
class Chart:
    """Speeds over time, from left to right; the highest is at the top."""

    line: str  #: points, as `<polyline>` has them
    area: str  #: the same down to the ground, as `<polygon>` has them
    highest: float  #: images a second
    begin: datetime
    end: datetime  #: the begin of the last step


def chart_of(speeds: Sequence[Speed]) -> Chart | None:
    """Return the chart; None: there is too little to draw."""
    if len(speeds) < _LEAST_POINTS:
        return None
    highest = max(speed.images_per_second for speed in speeds)
    points = [
        (number * WIDTH / (len(speeds) - 1), HEIGHT - speed.images_per_second / (highest or 1) * HEIGHT)
        for number, speed in enumerate(speeds)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Chart(line, f"0,{HEIGHT} {line} {WIDTH},{HEIGHT}", highest, speeds[0].at, speeds[-1].at)
