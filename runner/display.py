"""What a run tells while it goes on, to whoever shows it: a terminal, a page, or nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from storage.records import Progress


class Display(Protocol):
    """Where a run's progress goes."""

    def update(self, progress: Progress, *, scanning: bool) -> None: ...
    def note(self, sentence: str) -> None: ...
