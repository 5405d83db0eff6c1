"""What is wrong with the runs that should be getting on: for probes, which ask again and again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from archive.blocking import call_with_timeout
from archive.places import why_gone
from broker.app import make_app
from broker.queue import answers, check_broker
from common.errors import ArchiveError, WorkersError
from host.process import host_name
from report.words import duration
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common.errors import NightlabelError
    from common.settings import Settings
    from runner.status import Situation, Status

#: Seconds in which the archive's disk must answer: probes are given ten, as a rule.
_ARCHIVE_S = 5.0


class Problem(NamedTuple):
    """Something that keeps a run from getting on."""

    kind: str  #: `archive_gone`, `no_worker` or `stalled`
    run_id: int
    text: str
    error: type[NightlabelError]  #: what a run ends with for it

    @property
    def exit_status(self) -> int:
        return self.error.exit_status


def problems(status: Status, *, looks_at_archive: bool = True) -> list[Problem]:
    """Return what keeps runs from getting on, the worst first.

    A run that nobody follows, and of which nothing is on a queue, was stopped for the day: nothing is wrong with it.

    Args:
        status: as it is now.
        looks_at_archive: whether this machine sees the archive, and so can tell that it is gone.

    """
    found = [
        problem
        for situation in status.situations
        if _should_get_on(situation)
        for problem in _problems(situation, looks_at_archive=looks_at_archive)
    ]
    return sorted(found, key=lambda problem: ("archive_gone", "no_worker", "stalled").index(problem.kind))


def raise_if_no_worker_here(settings: Settings) -> None:
    """Check that a worker of this host answers over Redis: what it labels, and whether it can, is not looked at.

    A worker answers also while the database is out of reach, or while it has nothing to do.

    Raises:
        WorkersError: Redis answers, and no worker of this host does.
        BrokerError: Redis is out of reach, so that nobody can tell.

    """
    app = make_app(settings)
    check_broker(app)
    if not answers(app, host_name()):
        raise WorkersError(f"No worker of this host ({host_name()}) answers.")


def _should_get_on(situation: Situation) -> bool:
    """Tell whether a run is followed, or waits on a queue: not one that was stopped for the day."""
    run, queue = situation.run, situation.queue
    if run.is_over:
        return False
    waits = queue and situation.progress.chunks_published and queue.depth + queue.unacknowledged
    return situation.is_followed or bool(waits)


def _problems(situation: Situation, *, looks_at_archive: bool) -> Iterator[Problem]:
    run, queue = situation.run, situation.queue
    if looks_at_archive:
        for root in run.roots:
            if reason := _why_gone(root):
                yield Problem("archive_gone", run.id, f"{shown(root)}: {reason}", ArchiveError)
    if queue and not queue.workers and situation.progress.chunks_published:
        yield Problem("no_worker", run.id, "no worker answers, though chunks wait for one", WorkersError)
    if situation.stalled_for:
        lasted = duration(situation.stalled_for.total_seconds())
        yield Problem("stalled", run.id, f"nothing has moved for {lasted}", WorkersError)


def _why_gone(root: str) -> str | None:
    try:
        return call_with_timeout(partial(why_gone, root), _ARCHIVE_S)
    except TimeoutError:
        return f"its disk has not answered for {_ARCHIVE_S:.0f} s"
