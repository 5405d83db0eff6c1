"""Some of an archive's images, drawn evenly."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archive.counts import ScanCounts
from archive.scan import scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from common.settings import Settings
    from storage.records import ImageRef


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some of the images of an archive."""

    refs: list[ImageRef]
    found: int  #: images that they were drawn from
    is_whole: bool  #: those are all that there are
    counts: ScanCounts = field(default_factory=ScanCounts)  #: what the scan skipped


def draw_sample(roots: Sequence[str], settings: Settings, count: int, budget_s: float) -> Sample:
    """Return up to `count` images, drawn evenly from those that a scan of the roots finds within `budget_s` seconds.

    Raises:
        ArchiveError: a root is gone, cannot be read, or does not answer.

    """
    counts = ScanCounts()
    found = scan(roots, settings.include, settings.exclude, counts=counts, no_skip=settings.no_skip)
    return draw(found, count, budget_s, counts)


def draw(refs: Iterator[ImageRef], count: int, budget_s: float, counts: ScanCounts | None = None) -> Sample:
    """Return up to `count` of the images that come within `budget_s` seconds.

    The draw is the same each time. Source: Vitter's reservoir sampling, algorithm R.
    """
    chance = random.Random(0)  # noqa: S311 - a sample, not a secret
    drawn: list[ImageRef] = []
    found = 0
    is_whole = True
    deadline = time.monotonic() + budget_s
    for found, ref in enumerate(refs, start=1):
        if len(drawn) < count:
            drawn.append(ref)
        elif (position := chance.randrange(found)) < count:
            drawn[position] = ref
        if time.monotonic() > deadline:
            is_whole = next(refs, None) is None
            break
    chance.shuffle(drawn)
    return Sample(refs=drawn, found=found, is_whole=is_whole, counts=counts or ScanCounts())
