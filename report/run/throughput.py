"""How fast a run was, by minute and by worker, where the time went, and what is left."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import ChunkTime, Progress

#: A time without any chunk in work that is longer than this counts as a pause, not as slow labelling: the run
#: was interrupted, or had no workers.
PAUSE = timedelta(seconds=60)
#: Whole minutes that are needed to speak of the speed of so many processes: one alone may have had odd chunks.
LEAST_MINUTES = 5
#: What the forecast takes the speed from.
FORECAST_WINDOW = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class MinuteFigures:
    """Images labelled in one minute."""

    minute: datetime
    images: int
    is_whole: bool  #: no end of the run, and no pause, cut it short


@dataclass(frozen=True, kw_only=True)
class Spans:
    """The times in which chunks were in work, short gaps included, and the pauses between them."""

    labelling: tuple[tuple[datetime, datetime], ...]

    @property
    def labelling_s(self) -> float:
        return sum((end - begin).total_seconds() for begin, end in self.labelling)

    @property
    def pauses_s(self) -> float:
        return sum((after[0] - before[1]).total_seconds() for before, after in pairwise(self.labelling))

    def overlap_s(self, begin: datetime, end: datetime) -> float:
        """Return how many seconds between two times were labelling."""
        return sum(max(0.0, (min(end, last) - max(begin, first)).total_seconds()) for first, last in self.labelling)


def spans(chunks: Sequence[ChunkTime]) -> Spans:
    """Tell labelling from pauses."""
    found: list[tuple[datetime, datetime]] = []
    for chunk in sorted(chunks, key=lambda chunk: chunk.started_at):
        if found and chunk.started_at - found[-1][1] <= PAUSE:
            found[-1] = (found[-1][0], max(found[-1][1], chunk.done_at))
        else:
            found.append((chunk.started_at, chunk.done_at))
    return Spans(labelling=tuple(found))


def by_minute(chunks: Sequence[ChunkTime], times: Spans) -> tuple[MinuteFigures, ...]:
    """Count images by the minute in which their chunk was done; a minute of labelling without one counts 0."""
    images: Counter[datetime] = Counter()
    for chunk in chunks:
        images[_minute(chunk.done_at)] += chunk.images
    minutes = set(images)
    for begin, end in times.labelling:
        minute = _minute(begin)
        while minute < end:
            minutes.add(minute)
            minute += timedelta(minutes=1)
    return tuple(
        MinuteFigures(minute=minute, images=images[minute], is_whole=_is_whole(minute, times))
        for minute in sorted(minutes)
    )


def forecast_s(progress: Progress, chunks: Sequence[ChunkTime], times: Spans) -> float | None:
    """Return the seconds that the missing images take at the newest speed; None if none is missing, or was labelled."""
    if not progress.missing or not chunks:
        return None
    end = chunks[-1].done_at
    begin = end - FORECAST_WINDOW
    images = sum(chunk.images for chunk in chunks if chunk.done_at > begin)
    spent_s = times.overlap_s(begin, end)
    return progress.missing * spent_s / images if spent_s and images else None  # of changed files, nothing counts


def speed_by_workers(chunks: Sequence[ChunkTime], minutes: Sequence[MinuteFigures]) -> dict[int, float]:
    """Return images per second by how many processes labelled in the same minute: the mean of the whole minutes.

    A number of processes of which there are fewer than `LEAST_MINUTES` is left out.
    """
    busy: dict[datetime, set[str]] = defaultdict(set)
    for chunk in chunks:
        minute = _minute(chunk.started_at)
        while minute < chunk.done_at:
            busy[minute].add(chunk.worker)
            minute += timedelta(minutes=1)
    images: dict[int, list[int]] = defaultdict(list)
    for figures in minutes:
        if figures.is_whole and figures.minute in busy:
            images[len(busy[figures.minute])].append(figures.images)
    return {
        workers: sum(counts) / len(counts) / 60
        for workers, counts in sorted(images.items())
        if len(counts) >= LEAST_MINUTES
    }


def _minute(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(second=0, microsecond=0)


def _is_whole(minute: datetime, times: Spans) -> bool:
    return any(begin <= minute and minute + timedelta(minutes=1) <= end for begin, end in times.labelling)
