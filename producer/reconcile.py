"""Find the chunks of a run that got lost in flight, and let them wait to be published again.

Celery's take from Redis is not atomic, so a worker killed in that instant loses a message, and no setting closes
the gap (https://github.com/celery/celery/issues/4354). The manifest does: a chunk that is neither on the queue nor
with a live worker, and has no outcomes, waits again. A resumed run, a Redis that was flushed and a host that burnt
down are the same case.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from broker.message import chunk_id, task_id
from broker.queue import discard_unacknowledged, held_tasks, queued_ids, unacknowledged_tags
from common.errors import WorkersError
from storage.manifest import done_chunks, open_chunks, requeue_chunks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

    from common.settings import Settings
    from producer.publish import Publisher
    from storage.database import Database
    from storage.manifest import PublishedChunk
    from storage.records import Run

#: Times that a command publishes a chunk before it gives up on the workers. Kills and outages cost one each.
MAX_PUBLISHINGS = 20
#: Seconds after which a worker has requeued the chunk of a child that was killed: over Celery's `worker_lost_wait`.
GIVING_BACK_S = 1.5
#: Seconds that the last acknowledgement may follow its commit by.
LAST_ACKNOWLEDGEMENT_S = 1.0


class Reconciler:
    """Compares a run's manifest with the queue and the workers. Whoever follows the run calls it again and again."""

    def __init__(
        self, app: Celery, database: Database, identity: str, run: Run, settings: Settings, publisher: Publisher
    ) -> None:
        self._app = app
        self._database = database
        self._identity = identity
        self._run = run
        self._publisher = publisher
        self._patience_s = settings.stall_limit_s
        self._silent_since: dict[PublishedChunk, float] = {}  # that a worker may hold which does not answer

    def reconcile(self) -> int:
        """Let the chunks wait again that are said to be published and are nowhere; return how many.

        A chunk that is only slow to show up may be taken for lost: then it is labelled twice and stored once.

        Raises:
            WorkersError: a chunk was published `MAX_PUBLISHINGS` times and lost.

        """
        suspects = self._missing_from_queue()
        tags = unacknowledged_tags(self._app) if suspects else {}
        if self._taken(suspects, tags):
            suspects = self._held_by_nobody(suspects, tags)
        if self._taken(suspects, tags):
            # A worker whose child was killed holds its chunk no more, and gives it back a moment later.
            time.sleep(GIVING_BACK_S)
            suspects = self._held_by_nobody(suspects, tags)
        self._raise_if_endless(suspects)
        lost = requeue_chunks(self._database, suspects)
        discard_unacknowledged(self._app, {tags[self._id(chunk)] for chunk in suspects if self._id(chunk) in tags})
        return lost

    def _taken(self, chunks: set[PublishedChunk], tags: Mapping[str, bytes]) -> set[PublishedChunk]:
        return {chunk for chunk in chunks if self._id(chunk) in tags}

    def _held_by_nobody(self, suspects: set[PublishedChunk], tags: Mapping[str, bytes]) -> set[PublishedChunk]:
        """Leave out what a worker holds that lives and says so, or may hold that is slow to answer."""
        held = held_tasks(self._app)
        # What was finished or requeued while the workers were asked is no longer missing.
        left = {chunk for chunk in suspects & self._missing_from_queue() if self._id(chunk) not in held.ids}
        if held.silent_workers:
            return left - self._perhaps_held(self._taken(left, tags))
        self._silent_since.clear()
        return left

    def _perhaps_held(self, taken: set[PublishedChunk]) -> set[PublishedChunk]:
        """Return those that a worker may hold which is connected and does not answer: slow is not gone, for a while."""
        now = time.monotonic()
        self._silent_since = {chunk: self._silent_since.get(chunk, now) for chunk in taken}
        return {chunk for chunk, since in self._silent_since.items() if now - since < self._patience_s}

    def discard_done(self) -> int:
        """Drop from Redis what workers that died have left there of chunks which are done; return how many.

        They died between the commit and its acknowledgement. Without this, Redis would deliver their messages once
        more, for nothing, at the end of the visibility timeout.

        Raises:
            BrokerError: Redis is out of reach.

        """
        deadline = time.monotonic() + LAST_ACKNOWLEDGEMENT_S
        while left := self._unacknowledged_of_done():
            if time.monotonic() > deadline:
                held = held_tasks(self._app)
                if held.silent_workers:
                    return 0  # what is delivered once more finds that it is done
                left = {task: tag for task, tag in self._unacknowledged_of_done().items() if task not in held.ids}
                discard_unacknowledged(self._app, set(left.values()))
                return len(left)
            time.sleep(0.05)
        return 0

    def _unacknowledged_of_done(self) -> dict[str, bytes]:
        tags = unacknowledged_tags(self._app)
        chunk_of = {task: chunk for task in tags if (chunk := chunk_id(self._identity, task)) is not None}
        done = done_chunks(self._database, self._run.id, chunk_of.values()) if chunk_of else set()
        return {task: tags[task] for task, chunk in chunk_of.items() if chunk in done}

    def _raise_if_endless(self, lost: set[PublishedChunk]) -> None:
        for chunk in lost:
            times = self._publisher.times_republished(chunk.chunk_id) + 1
            if times >= MAX_PUBLISHINGS:
                raise WorkersError(
                    f"Chunk {chunk.chunk_id} of run {self._run.id} was published {times} times and never done."
                    " The workers' logs say why; the same command tries again."
                )

    def _missing_from_queue(self) -> set[PublishedChunk]:
        published = open_chunks(self._database, self._run.id)
        queued = queued_ids(self._app) if published else set()
        return {chunk for chunk in published if self._id(chunk) not in queued}

    def _id(self, chunk: PublishedChunk) -> str:
        return task_id(self._identity, chunk.chunk_id, chunk.attempt)
