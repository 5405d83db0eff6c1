"""Progress for people: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TextColumn

from report.words import duration

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from storage import records

#: Seconds over which the current speed is averaged: long enough to be steady, short enough to show a change.
_SPEED_WINDOW_S = 30.0
#: Seconds between two plain lines.
_LINE_EVERY_S = 10.0


def make_progress(console: Console) -> _Bar | _Lines:
    """Return what shows the progress, to be entered while the run goes on."""
    return _Bar(console) if console.is_terminal else _Lines(console)


class Speed:
    """Images a second over the last half minute, and what it means for the rest."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, labelled: int) -> None:
        now = time.monotonic()
        if not self._seen or labelled != self._seen[-1][1]:
            self._seen.append((now, labelled))
        while len(self._seen) > 2 and now - self._seen[0][0] > _SPEED_WINDOW_S:  # noqa: PLR2004 - two make a span
            self._seen.popleft()

    @property
    def images_per_second(self) -> float | None:
        if len(self._seen) < 2:  # noqa: PLR2004 - two make a span
            return None
        (begun, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last - first) / (ended - begun) if ended > begun else None

    def describe(self, progress: records.Progress, *, scanning: bool) -> str:
        """Return `205.3 images/s  3 failed  2 min 04 s left`, as far as it is known."""
        parts = []
        speed = self.images_per_second
        if speed:
            parts.append(f"{speed:,.1f} images/s")
        if progress.failed:
            parts.append(f"{progress.failed:,} failed")
        if scanning:
            parts.append("still scanning")
        elif speed:
            parts.append(f"{duration(progress.missing / speed)} left")
        return "  ".join(parts)


class _Bar:
    def __init__(self, console: Console) -> None:
        self._speed = Speed()
        self._bar = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} images"),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=0)

    def update(self, progress: records.Progress, *, scanning: bool) -> None:
        self._speed.update(progress.labelled)
        self._bar.update(
            self._task,
            completed=progress.labelled,
            total=progress.images,
            description=self._speed.describe(progress, scanning=scanning),
        )

    def note(self, sentence: str) -> None:
        self._bar.console.out(sentence, highlight=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._speed = Speed()
        self._next = time.monotonic()

    def update(self, progress: records.Progress, *, scanning: bool) -> None:
        self._speed.update(progress.labelled)
        if time.monotonic() < self._next or not progress.images:
            return
        self._next = time.monotonic() + _LINE_EVERY_S
        described = self._speed.describe(progress, scanning=scanning)
        self.note(f"{progress.labelled:,} of {progress.images:,} images  {described}".rstrip())

    def note(self, sentence: str) -> None:
        self._console.out(sentence, highlight=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass
