"""Stop a run in good order from another process: what Ctrl-C does in the terminal of the command that follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.errors import UsageError
from host.process import interrupt, is_running
from runner.status import is_followed

if TYPE_CHECKING:
    from datetime import datetime

    from storage.records import Run


def why_not_from_here(run: Run, now: datetime) -> str | None:
    """Return, in a sentence, why a run cannot be stopped from this process; None: it can.

    Args:
        run: as it is now.
        now: by the database's clock.

    """
    if run.is_over:
        return f"Run {run.id} is {run.state} already."
    if not is_followed(run, now):
        return f"Nobody follows run {run.id}: there is nothing to stop."
    if not is_running(run.follower_process):
        return (
            f"Run {run.id} is followed by {run.follower}, on another machine or in another container: press Ctrl-C"
            " there, or send that process SIGTERM."
        )
    return None


class Stopper:
    """Stops runs; each follower is asked once: a second signal would have it not wait for the chunks in work."""

    def __init__(self) -> None:
        self._asked: set[str] = set()

    @property
    def asked(self) -> frozenset[str]:
        """The followers that were asked to end (`host.process`), those that have ended since too."""
        return frozenset(self._asked)

    def stop(self, run: Run, now: datetime) -> None:
        """Ask whoever follows a run to end: chunks in work are labelled to their end, and the same command resumes.

        Args:
            run: as it is now.
            now: by the database's clock.

        Raises:
            UsageError: it cannot be stopped from here, or is being stopped already.

        """
        if why := why_not_from_here(run, now):
            raise UsageError(why)
        follower = run.follower_process
        assert follower
        if follower in self._asked:
            raise UsageError(f"Run {run.id} is being stopped already: the chunks in work are labelled to their end.")
        try:
            is_there = interrupt(follower)
        except PermissionError as error:
            raise UsageError(f"Run {run.id} is followed by {run.follower}, which cannot be asked: {error}.") from None
        if not is_there:
            raise UsageError(f"Run {run.id} has no follower any more.")
        self._asked.add(follower)
