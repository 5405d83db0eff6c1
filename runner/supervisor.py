"""Keep alive what a run needs on this machine: its private Redis, its workers, and the archive's disk."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from common.errors import ArchiveError, BrokerBusyError, DatabaseError, WorkersError
from report.words import counted
from runner.failure_watch import FAILURE_WINDOW, FailureWatch
from runner.stall_watch import StallWatch
from storage.figures import failures_by_kind
from storage.outcomes import requeue_failures
from storage.runs import last_done

if TYPE_CHECKING:
    from types import TracebackType

    from broker.private_redis import PrivateRedis
    from common.errors import DatabaseBusyError
    from common.settings import Settings
    from runner.archive_watch import ArchiveWatch
    from runner.display import Display
    from runner.local_workers import LocalWorkers
    from runner.window import Window
    from storage.database import Database
    from storage.records import Progress, Run

#: Seconds without an answer after which a private Redis that still runs is started again.
REDIS_SILENT_S = 45.0
#: Times that workers which get nothing done are started again before a run gives up.
MAX_STALLS = 3


class Supervisor:
    """The supervision of a run (`producer.run_follower.Supervision`), with what of this machine belongs to it.

    While the block lasts, the workers and the watch over the archive run. What is None is somebody else's business.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        run: Run,
        display: Display,
        *,
        redis: PrivateRedis | None = None,
        workers: LocalWorkers | None = None,
        archive: ArchiveWatch | None = None,
        window: Window | None = None,
    ) -> None:
        self._database = database
        self._run = run
        self._display = display
        self._redis = redis
        self._workers = workers
        self._archive = archive
        self._window = window
        self._stall = StallWatch(settings.stall_limit_s)
        self._failures = FailureWatch()
        self._max_failure_share = settings.max_failure_share
        self._are_failures_doubtful = False
        self._has_restarted = False  # the workers, in the outage that lasts
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._requeue_doubtful)  # once the workers have stopped
            if self._workers:
                stack.callback(self._workers.stop)
                self._workers.start()
            if self._archive:
                stack.callback(self._archive.stop)
                self._archive.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def keep_alive(self) -> None:
        if self._redis and not self._redis.is_running():
            self.note("The private Redis ended; starting it again.")
            self._redis.start()
        if self._archive:
            self._archive.check()

    def observe(self, progress: Progress, *, scanning: bool) -> None:
        self._has_restarted = False
        if self._window:
            self._window.look(progress)
        self._display.update(progress, scanning=scanning)
        share = self._failures.share(progress)
        if share <= self._max_failure_share:
            return
        self._are_failures_doubtful = True
        most = failures_by_kind(self._database, self._run.id)[0]
        raise ArchiveError(
            f"Of the last {FAILURE_WINDOW:,} images, {share:.0%} failed; most of this run are `{most.kind}`, like"
            f" {most.example}. Fix the cause and run the same command again: it retries what failed."
            " If the archive is like that, set NIGHTLABEL_MAX_FAILURE_SHARE=1."
        )

    def is_enough(self) -> bool:
        return self._window is not None and self._window.is_over()

    def restart_stalled(self, progress: Progress) -> None:
        if self._workers:
            sentence = self._workers.keep_alive(progress.chunks_done)
            if sentence:
                self.note(f"{sentence}.")
        times = self._stall.times_stalled(progress)
        if not times:
            return
        if not progress.chunks_in_work and self._is_other_work_done():
            self._stall.forget()  # the workers are not stalled: this run's chunks wait behind another run's
            return
        waiting = counted(progress.chunks_published, "chunk")
        what = f"Nothing was labelled for {self._stall.lasted_s:.0f} s, though {waiting} wait"
        if self._workers is None:
            self.note(f"{what}. Does a worker run? `nightlabel status` tells.")
        elif times <= MAX_STALLS:
            self.note(f"{what}; starting the workers again.")
            self._workers.restart()
        else:
            raise WorkersError(
                f"{what}, and starting the workers again did not help {MAX_STALLS} times."
                f" The worker said: {self._workers.last_words()}"
            )

    def endure(self, outage: BrokerBusyError | DatabaseBusyError, away_s: float) -> None:
        if isinstance(outage, BrokerBusyError):
            if self._redis and away_s > REDIS_SILENT_S:
                self._redis.stop()  # it hangs; the next round starts it again
        elif self._may_workers_lock_it(away_s):
            self.note("A worker may be what locks it; starting the workers again.")
            self._has_restarted = True
            assert self._workers
            self._workers.restart()
        self._stall.restart()

    def note(self, sentence: str) -> None:
        self._display.note(sentence)

    def _may_workers_lock_it(self, away_s: float) -> bool:
        """Tell whether a worker may hang in the middle of a transaction, which keeps everybody out of SQLite."""
        is_long = away_s > self._stall.limit_s
        return bool(self._workers and self._database.is_sqlite and is_long and not self._has_restarted)

    def _is_other_work_done(self) -> bool:
        """Tell whether a chunk of any run was done within the time after which a run counts as stalled."""
        done_at, now = last_done(self._database)
        return done_at is not None and abs(now - done_at) < timedelta(seconds=self._stall.limit_s)

    def _requeue_doubtful(self) -> None:
        """Have the next run try again what failed, where the images may not be the cause."""
        if not self._are_failures_doubtful:
            return
        try:
            requeue_failures(self._database, self._run.id)
        except DatabaseError as error:
            self.note(f"What failed is not tried again by itself; `nightlabel retry` does it. {error}")
