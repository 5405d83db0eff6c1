"""What a run tells while it goes on, to whoever shows it: a terminal, a page, or nobody."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from producer.enqueue import Enqueued
    from runner.window import Stopped
    from storage.records import Progress, Run


@dataclass(frozen=True, kw_only=True)
class RunStart:
    """What is going to happen."""

    run: Run
    is_new: bool  #: False: an earlier run over the same paths, with the same model, is resumed
    retried_run: int | None  #: the run whose failed images are labelled again; None: the archive is scanned
    workers: int  #: on this machine; 0: they run elsewhere
    cpus: int  #: of this machine that the workers may keep busy
    limits: str | None  #: what keeps workers from using all of this machine, in a sentence


@dataclass(frozen=True, kw_only=True)
class RunEnd:
    """What became of a run."""

    run: Run
    progress: Progress
    enqueued: Enqueued
    is_over: bool  #: every image has its outcome; False: it was stopped, or workers elsewhere label what is published
    stopped: Stopped | None = None  #: what the night's window came to, if that ended before the run


class Display(Protocol):
    """Where a run's progress goes."""

    def begin(self, start: RunStart) -> None:
        """Say what is going to happen. Called once a run, before anything is enqueued."""

    def live(self) -> AbstractContextManager[object]:
        """Show the progress while the block lasts."""

    def update(self, progress: Progress, *, scanning: bool) -> None:
        """Show how far the run is; `scanning`: more images may yet be found."""

    def note(self, sentence: str) -> None:
        """Say what a person should know."""

    def interrupted(self, progress: Progress) -> None:
        """Say that Ctrl-C or SIGTERM ended the run; the same call resumes it."""

    def end(self, end: RunEnd) -> None:
        """Say what became of the run. Called once a run that was not interrupted and did not fail."""


class Silent:
    """A display for runs whose progress is nobody's concern."""

    def begin(self, start: RunStart) -> None:
        pass

    def live(self) -> AbstractContextManager[object]:
        return nullcontext()

    def update(self, progress: Progress, *, scanning: bool) -> None:
        pass

    def note(self, sentence: str) -> None:
        pass

    def interrupted(self, progress: Progress) -> None:
        pass

    def end(self, end: RunEnd) -> None:
        pass


SILENT = Silent()
