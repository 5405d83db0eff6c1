"""Follow a run: publish its chunks, count what is done, and publish again what got lost, until it is over."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from common.errors import ArchiveError, BrokerBusyError, BrokerError, DatabaseBusyError, DatabaseError
from producer.enqueue import PATIENCE_S
from producer.lease import RENEW_EVERY_S
from storage.records import shown
from storage.runs import progress

if TYPE_CHECKING:
    from producer.lease import Lease
    from producer.manifest_writer import ManifestWriter
    from producer.publish import Publisher
    from producer.reconcile import Reconciler
    from storage.database import Database
    from storage.records import Progress, Run

#: Seconds between two looks at a run.
_POLL_S = 0.2
#: A look at a run of many chunks takes longer; then the pause is this many times as long.
_LOOKING_SHARE = 20
#: Seconds between two sentences about it.
_SAY_EVERY_S = 30.0
#: Seconds between two tries while it is away.
_RETRY_S = 1.0
#: Images left out that are named one by one at the end of a run.
_REFUSED_NAMED = 20


class Supervision(Protocol):
    """What somebody else does beside a follower: it keeps alive what the run needs, and says what happens."""

    def keep_alive(self) -> None:
        """Start again what ended. Called before each round.

        Raises:
            NightlabelError: something is wrong that waiting does not cure.

        """

    def observe(self, progress: Progress, *, scanning: bool) -> None:
        """Take note of how far the run is, each time that it was counted.

        Raises:
            ArchiveError: so many images fail that the images are not the cause.

        """

    def is_enough(self) -> bool:
        """Tell whether the follower shall leave the run here, though it is not over."""

    def restart_stalled(self, progress: Progress) -> None:
        """Start workers again that died, or that get nothing done though there is work. Called while the run goes on.

        Raises:
            WorkersError: that has not helped.

        """

    def endure(self, outage: BrokerBusyError | DatabaseBusyError, away_s: float) -> None:
        """Do what may end an outage that has lasted for so many seconds."""

    def note(self, sentence: str) -> None:
        """Say something to whoever watches."""


class QuietWatch:
    """Tells when it is time to reconcile: chunks of the run were published, and none of them is done for a while."""

    #: Seconds without a chunk done. A chunk of small images takes a second or less.
    QUIET_S = 3.0
    #: The same where nothing was found to be lost again and again: chunks wait for a worker, or behind another run's.
    LONGEST_QUIET_S = 60.0

    def __init__(self) -> None:
        self._done = -1
        self._since = time.monotonic()
        self._pause_s = self.QUIET_S

    def is_quiet(self, chunks_done: int, chunks_published: int) -> bool:
        """Tell whether nothing has moved for so long; asked again and again, it says so once each time."""
        now = time.monotonic()
        if chunks_done != self._done or not chunks_published:
            self._done, self._since, self._pause_s = chunks_done, now, self.QUIET_S
        elif now - self._since >= self._pause_s:
            self._since = now
            return True
        return False

    def found(self, lost: int) -> None:
        """Note how many chunks were lost: where there is none, it is looked for them less often."""
        self._pause_s = self.QUIET_S if lost else min(2 * self._pause_s, self.LONGEST_QUIET_S)


class Follower:
    """Follows a run until every image has its outcome. One at a time for a run, which its lease sees to."""

    def __init__(
        self,
        database: Database,
        run: Run,
        *,
        lease: Lease,
        publisher: Publisher,
        reconciler: Reconciler,
        manifest: ManifestWriter,
        supervision: Supervision,
        is_queue_shared: bool,
    ) -> None:
        """Put together what follows a run.

        Args:
            database: where the run is.
            run: the run.
            lease: of the run, entered.
            publisher: its way to the queue.
            reconciler: what finds its lost chunks.
            manifest: what writes its manifest, started.
            supervision: what is done beside it.
            is_queue_shared: whether Redis outlives the run: then nothing of the run may stay there.

        """
        self._database = database
        self._run = run
        self._lease = lease
        self._publisher = publisher
        self._reconciler = reconciler
        self._manifest = manifest
        self._supervision = supervision
        self._is_queue_shared = is_queue_shared
        self._quiet = QuietWatch()
        self._look_at = 0.0
        self._has_told_left_out = False
        self._said_at = -_SAY_EVERY_S

    def follow(self, *, until_published: bool = False) -> bool:
        """Publish, count, and publish again what got lost, until every image has its outcome.

        With `until_published`, only until every chunk is on the queue or done.

        Returns:
            Whether that is so; False: whoever supervises the run has enough of it.

        Raises:
            FollowedError: another command follows this run.
            NightlabelError: something is wrong that waiting does not cure.

        """
        is_reconciled = False
        good_at = time.monotonic()
        while not self._supervision.is_enough():
            try:
                self._lease.renew()
                self._manifest.check()
                self._supervision.keep_alive()
                if not is_reconciled:
                    self._reconciler.reconcile()  # what an earlier run, or an outage just over, left behind
                    is_reconciled = True
                if self._round(until_published=until_published):
                    return True
                good_at = time.monotonic()
            except (BrokerBusyError, DatabaseBusyError) as error:
                away_s = time.monotonic() - good_at
                if away_s > PATIENCE_S:
                    raise
                is_reconciled = False
                self._say_outage(error)
                self._supervision.endure(error, away_s)
                time.sleep(_RETRY_S)
        return False

    def _say_outage(self, error: BrokerBusyError | DatabaseBusyError) -> None:
        """Say what is away, and not every second anew."""
        now = time.monotonic()
        if now - self._said_at >= _SAY_EVERY_S:
            self._said_at = now
            self._supervision.note(f"{error} Trying again, for up to {PATIENCE_S / 60:.0f} minutes.")

    def _round(self, *, until_published: bool) -> bool:
        """Publish what waits and, now and then, count; return whether the run has come to its end."""
        published = self._publisher.publish_waiting()
        begun = time.monotonic()
        if published and begun < self._look_at:
            return False
        is_scanned = self._manifest.is_complete  # before the counting: afterwards it may be complete, and not counted
        state = progress(self._database, self._run.id)
        pause = min(max(_POLL_S, (time.monotonic() - begun) * _LOOKING_SHARE), RENEW_EVERY_S)
        self._look_at = time.monotonic() + pause
        self._supervision.observe(state, scanning=not is_scanned)
        if is_scanned and self._is_over(state, until_published=until_published):
            return True
        self._supervision.restart_stalled(state)
        if not published:
            self._publish_lost(state)
            time.sleep(pause)
        return False

    def _is_over(self, state: Progress, *, until_published: bool) -> bool:
        """Tell, with the manifest complete, whether what was asked for is done."""
        self._tell_left_out()
        self._raise_if_empty(state.images)
        if state.chunks_done == state.chunks:
            if self._is_queue_shared:
                with suppress(BrokerError):  # then Redis delivers them once more, and nobody labels them
                    self._reconciler.discard_done()
            return True
        return until_published and not state.chunks_waiting and not self._reconciler.reconcile()

    def _publish_lost(self, state: Progress) -> None:
        """Publish again what got lost, once nothing of this run moves, though some of it was published."""
        if self._quiet.is_quiet(state.chunks_done, state.chunks_published):
            lost = self._reconciler.reconcile()
            self._quiet.found(lost)
            if lost:
                what = "1 chunk" if lost == 1 else f"{lost:,} chunks"
                self._supervision.note(f"{what} got lost with a worker or in flight, and will be published again.")

    def _tell_left_out(self) -> None:
        """Say, once, what the scan could not read or would not follow."""
        if self._has_told_left_out:
            return
        self._has_told_left_out = True
        for sentence in self._manifest.enqueued.scan.sentences():
            self._supervision.note(sentence)
        refused = self._manifest.enqueued.refused
        for one in refused[:_REFUSED_NAMED]:
            self._supervision.note(f"{shown(one.path)} is left out. {one.reason}")
        if len(refused) > _REFUSED_NAMED:
            self._supervision.note(f"{len(refused) - _REFUSED_NAMED:,} more images are left out for such a reason.")

    def _raise_if_empty(self, images: int) -> None:
        enqueued = self._manifest.enqueued
        if images or enqueued.up_to_date:
            return
        if enqueued.refused:
            raise DatabaseError(f"No image could be added to the run. {enqueued.refused[0].reason}")
        ignored = enqueued.scan.ignored
        others = {0: "", 1: " 1 file there is no image."}.get(ignored, f" {ignored:,} files there are no images.")
        raise ArchiveError(f"There is no image to label in {', '.join(map(shown, self._run.roots))}.{others}")
