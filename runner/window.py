"""The night's window: until when a command labels, for how long, and how many images."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from common.times import next_time_of_day, parse_duration
from report.words import counted, duration

if TYPE_CHECKING:
    from common.settings import Settings
    from storage.records import Progress


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A run that was stopped at the end of its window, before it was over."""

    reason: str  #: as in `--until 07:00`
    lasted_s: float  #: of the command, from the first look at the run to the end of its last chunk
    labelled: int  #: images, by this command
    left: int  #: images that have no outcome
    is_scanned: bool  #: False: more images may yet be found

    @property
    def left_s(self) -> float | None:
        """How long the others take at this command's speed; None: it labelled none."""
        return self.left * self.lasted_s / self.labelled if self.labelled else None

    def __str__(self) -> str:
        """Say why, what is left, and how many such nights it takes."""
        least = "" if self.is_scanned else "at least "
        said = f"Stopped by {self.reason}: {least}{counted(self.left, 'image')} left"
        if self.left_s is None or not self.left:
            return f"{said}. The same command goes on with them."
        nights = math.ceil(self.left_s / self.lasted_s)
        more = f"{counted(nights, 'more window')} of {duration(self.lasted_s)}"
        return f"{said}, {least}{duration(self.left_s)} at this speed: {more}. The same command goes on with them."


class Window:
    """What a command may use of the night, from the moment on in which this is made."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened_s = _elapsed_s()
        self._until = next_time_of_day(settings.until, datetime.now(UTC)) if settings.until else None
        self._longest_s = parse_duration(settings.max_duration) if settings.max_duration else math.inf
        self._looked_s = self._opened_s  # the first look at the run: before it, nothing is labelled
        self._before: int | None = None  # images that had their outcome then
        self._labelled = 0
        self._ended_by: str | None = None  # the option that did

    def look(self, progress: Progress) -> None:
        """Take note of how far the run is."""
        if self._before is None:
            self._before, self._looked_s = progress.labelled, _elapsed_s()
        self._labelled = max(0, progress.labelled - self._before)

    def is_over(self) -> bool:
        """Tell whether it is over; once it is, it stays so.

        The time of the day is the wall clock's, as it is now, whoever sets it; a machine that sleeps through the end
        stops when it wakes up. A duration counts such sleep.
        """
        self._ended_by = self._ended_by or self._reason()
        return self._ended_by is not None

    def _reason(self) -> str | None:
        if self._until and datetime.now(UTC) >= self._until:
            return f"--until {self._settings.until}"
        if _elapsed_s() - self._opened_s >= self._longest_s:
            return f"--max-duration {self._settings.max_duration}"
        most = self._settings.max_images
        return f"--max-images {most}" if most and self._labelled >= most else None

    def stopped(self, progress: Progress, *, is_scanned: bool) -> Stopped:
        """Return what the window came to, once it is over and the last chunk in work has ended."""
        self.look(progress)
        return Stopped(
            reason=self._ended_by or "nobody",
            lasted_s=_elapsed_s() - self._looked_s,
            labelled=self._labelled,
            left=progress.missing,
            is_scanned=is_scanned,
        )


def _elapsed_s() -> float:
    """Return seconds that no clock's setting changes, sleep among them where the system counts it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
