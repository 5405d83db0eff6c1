"""Follow a run: publish, look, start again what died, and publish again what got lost, until it is over."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from common.errors import (
    ArchiveError,
    BrokerBusyError,
    BrokerError,
    DatabaseBusyError,
    DatabaseError,
    FollowedError,
    NightlabelError,
    WorkersError,
)
from host.process import host_name, is_running, process_identity
from producer.publish import Publisher
from report.words import counted
from runner.watching import FAILURE_WINDOW, ArchiveWatch, FailureWatch, QuietWatch, StallWatch
from storage import following
from storage.figures import failures_by_kind
from storage.outcomes import doubt_failures
from storage.records import shown
from storage.runs import last_done, progress

if TYPE_CHECKING:
    from celery import Celery

    from broker.private_redis import PrivateRedis
    from common.settings import Settings
    from runner.display import Display
    from runner.local_workers import LocalWorkers
    from runner.manifest_writer import ManifestWriter
    from storage.database import Database
    from storage.records import Progress, Run

#: Seconds between two looks at a run.
_POLL_S = 0.2
#: A look at a run of many chunks takes longer; then the pause is this many times as long.
_LOOKING_SHARE = 20
#: Seconds between two signs of life of a follower.
FOLLOW_EVERY_S = 5.0
#: One that was not heard of for as long, of whom nobody can tell from here whether it runs, is gone.
FOLLOWER_SILENCE = timedelta(seconds=4 * FOLLOW_EVERY_S)
#: Seconds that Redis or the database may be away before a run gives up: longer than a host takes to start again.
PATIENCE_S = 900.0
#: Seconds between two sentences about it.
_SAY_EVERY_S = 30.0
#: Seconds without an answer after which a private Redis that still runs is started again.
REDIS_SILENT_S = 45.0
#: Times that workers which get nothing done are started again before a run gives up.
MAX_STALLS = 3


#: Images left out that are named one by one at the end of a run.
_REFUSED_NAMED = 20


class Follower:
    """Follows a run until every image has its outcome. One at a time for a run."""

    def __init__(
        self,
        app: Celery,
        database: Database,
        identity: str,
        run: Run,
        settings: Settings,
        manifest: ManifestWriter,
        display: Display,
    ) -> None:
        self._app = app
        self._database = database
        self._run = run
        self._publisher = Publisher(app, database, identity, run, settings)
        self._manifest = manifest
        self._display = display
        self._quiet = QuietWatch()
        self._stall = StallWatch(settings.stall_limit_s)
        self._failures = FailureWatch()
        self._max_failure_share = settings.max_failure_share
        self._is_doubtful = False
        self._me = following.Follower(f"{host_name()}:{os.getpid()}", process_identity(os.getpid()))
        self._heard_at = 0.0
        self._look_at = 0.0
        self._told = False
        self._said_at = -_SAY_EVERY_S
        self.redis: PrivateRedis | None = None
        self.workers: LocalWorkers | None = None
        self.archive: ArchiveWatch | None = None

    def follow(self, *, until_published: bool = False) -> None:
        """Publish, look, and publish again what got lost, until every image has its outcome.

        With `until_published`, only until every chunk is on the queue or done.

        Raises:
            FollowedError: another command follows this run.
            NightlabelError: something is wrong that waiting does not cure.

        """
        reconciled = False
        good_at = time.monotonic()
        has_restarted = False  # in the trouble that lasts
        while True:
            try:
                self.claim()
                self._manifest.check()
                self._keep_redis_alive()
                if not reconciled:
                    self._publisher.reconcile()  # what an earlier run, or a trouble just over, left behind
                    reconciled = True
                if self._step(until_published=until_published):
                    return
                good_at, has_restarted = time.monotonic(), False
            except (BrokerBusyError, DatabaseBusyError) as error:
                away_s = time.monotonic() - good_at
                if away_s > PATIENCE_S:
                    raise
                reconciled = False
                self._say_trouble(error)
                if isinstance(error, BrokerBusyError):
                    if self.redis and away_s > REDIS_SILENT_S:
                        self.redis.stop()  # it hangs; the next step starts it again
                elif self.workers and self._database.is_sqlite and away_s > self._stall.limit_s and not has_restarted:
                    # One that hangs in the middle of a transaction keeps everybody out of SQLite.
                    self._display.note("A worker may be what locks it; starting the workers again.")
                    self.workers.restart()
                    has_restarted = True
                self._stall.restart()
                time.sleep(1)

    def _say_trouble(self, error: NightlabelError) -> None:
        """Say what is the matter, and not every second anew."""
        now = time.monotonic()
        if now - self._said_at >= _SAY_EVERY_S:
            self._said_at = now
            self._display.note(f"{error} Trying again, for up to {PATIENCE_S / 60:.0f} minutes.")

    def claim(self) -> None:
        """Say that this process follows the run; two would publish the same chunks over and over.

        Raises:
            FollowedError: another process does.
            CancelledError: the run was cancelled.

        """
        if time.monotonic() - self._heard_at < FOLLOW_EVERY_S:
            return
        other = following.follow(
            self._database, self._run.id, self._me, patience=FOLLOWER_SILENCE, is_running=is_running
        )
        if other:
            raise FollowedError(f"Run {self._run.id} is followed by {other} already. Wait for it, or end that process.")
        self._heard_at = time.monotonic()

    def release(self) -> None:
        """Let the next command follow the run at once."""
        if self._is_doubtful:  # now that the workers have stopped
            try:
                doubt_failures(self._database, self._run.id)
            except DatabaseError as error:
                self._display.note(f"What failed is not tried again by itself; `nightlabel retry` does it. {error}")
        with suppress(DatabaseError):  # then it waits until this process is seen to be gone
            following.unfollow(self._database, self._run.id, self._me)

    def _keep_redis_alive(self) -> None:
        if self.redis and not self.redis.is_running():
            self._display.note("The private Redis ended; starting it again.")
            self.redis.start()

    def _step(self, *, until_published: bool) -> bool:
        """Do what there is to do now; return whether the run has come to its end."""
        published = self._publisher.publish_waiting()
        begun = time.monotonic()
        if published and begun < self._look_at:
            return False
        if self.archive:
            self.archive.check()
        scanned = self._manifest.is_complete  # before the counting: afterwards it may be complete, and not counted
        state = progress(self._database, self._run.id)
        pause = min(max(_POLL_S, (time.monotonic() - begun) * _LOOKING_SHARE), FOLLOW_EVERY_S)
        self._look_at = time.monotonic() + pause
        self._display.update(state, scanning=not scanned)
        self._refuse_failures(state)
        if scanned and self._is_over(state, until_published=until_published):
            return True
        self._look_after_workers(state)
        if not published:
            self._find_lost(state)
            time.sleep(pause)
        return False

    def _is_over(self, state: Progress, *, until_published: bool) -> bool:
        """Tell, with the manifest complete, whether what was asked for is done."""
        self._tell_left_out()
        self._refuse_empty(state.images)
        if state.chunks_done == state.chunks:
            if self.redis is None:  # a private one ends with the run
                with suppress(BrokerError):  # then Redis delivers them once more, and nobody labels them
                    self._publisher.forget_done()
            return True
        return until_published and not state.chunks_waiting and not self._publisher.reconcile()

    def _find_lost(self, state: Progress) -> None:
        """Publish again what got lost, once nothing of this run moves, though some of it was published."""
        if self._quiet.is_quiet(state.chunks_done, state.chunks_published):
            lost = self._publisher.reconcile()
            self._quiet.found(lost)
            if lost:
                self._display.note(
                    f"{counted(lost, 'chunk')} got lost with a worker or on the way, and will be published again."
                )

    def _refuse_failures(self, state: Progress) -> None:
        """Stop where so many images fail that the images are not the cause."""
        share = self._failures.share(state)
        if share <= self._max_failure_share:
            return
        self._is_doubtful = True
        most = failures_by_kind(self._database, self._run.id)[0]
        raise ArchiveError(
            f"Of the last {FAILURE_WINDOW:,} images, {share:.0%} failed; most of this run are `{most.kind}`, like"
            f" {most.example}. Mend what is wrong, and type the same command again: it tries again what failed."
            " If the archive is like that, set NIGHTLABEL_MAX_FAILURE_SHARE=1."
        )

    def _look_after_workers(self, state: Progress) -> None:
        """Start workers again that died, or that get nothing done though there is work.

        Raises:
            WorkersError: that has not helped.

        """
        if self.workers:
            sentence = self.workers.keep_alive(state.chunks_done)
            if sentence:
                self._display.note(f"{sentence}.")
        times = self._stall.times_stalled(state)
        if not times:
            return
        if not state.chunks_in_work and self._is_other_work_done():
            self._stall.forget()  # the workers are not stalled: this run's chunks wait behind another run's
            return
        what = f"Nothing was labelled for {self._stall.lasted_s:.0f} s, though {state.chunks_published:,} chunks wait"
        if self.workers is None:
            self._display.note(f"{what}. Does a worker run? `nightlabel status` tells.")
        elif times <= MAX_STALLS:
            self._display.note(f"{what}; starting the workers again.")
            self.workers.restart()
        else:
            raise WorkersError(
                f"{what}, and starting the workers again did not help {MAX_STALLS} times."
                f" The worker said: {self.workers.last_words()}"
            )

    def _is_other_work_done(self) -> bool:
        """Tell whether a chunk of any run was done within the time after which a run counts as stalled."""
        done_at, now = last_done(self._database)
        return done_at is not None and abs(now - done_at) < timedelta(seconds=self._stall.limit_s)

    def _tell_left_out(self) -> None:
        """Say, once, what the scan could not read or would not follow."""
        if self._told:
            return
        self._told = True
        for sentence in self._manifest.enqueued.scan.sentences():
            self._display.note(sentence)
        refused = self._manifest.enqueued.refused
        for one in refused[:_REFUSED_NAMED]:
            self._display.note(f"{shown(one.path)} is left out. {one.reason}")
        if len(refused) > _REFUSED_NAMED:
            self._display.note(f"{len(refused) - _REFUSED_NAMED:,} more images are left out for such a reason.")

    def _refuse_empty(self, images: int) -> None:
        enqueued = self._manifest.enqueued
        if images or enqueued.up_to_date:
            return
        if enqueued.refused:
            raise DatabaseError(f"No image could be added to the run. {enqueued.refused[0].reason}")
        ignored = enqueued.scan.ignored
        what = "is no image" if ignored == 1 else "are no images"
        others = f" {counted(ignored, 'file')} there {what}." if ignored else ""
        raise ArchiveError(f"There is no image to label in {', '.join(map(shown, self._run.roots))}.{others}")
