"""Publish a run's chunks as the queue has room."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from broker.message import ChunkMessage, publish
from broker.queue import depth
from storage.manifest import mark_published

if TYPE_CHECKING:
    from celery import Celery

    from common.settings import Settings
    from storage.database import Database
    from storage.records import Run

#: Chunks that one round publishes: few enough that the caller soon looks at its workers again.
ROUND_CHUNKS = 64


class Publisher:
    """A run's way to the queue. Whoever follows the run calls `publish_waiting` again and again."""

    def __init__(self, app: Celery, database: Database, identity: str, run: Run, settings: Settings) -> None:
        self._app = app
        self._database = database
        self._identity = identity
        self._run = run
        self._limit = settings.queue_limit
        self._again: Counter[int] = Counter()  # by chunk, how often it was published again; not what Redis refused
        self._room = 0  # at least so many more chunks may wait: workers only ever take some

    def publish_waiting(self) -> int:
        """Publish waiting chunks while the queue has room for them; return how many.

        Raises:
            BrokerError: Redis is out of reach or full. What was not published after all is found by `Reconciler`.

        """
        if self._room < ROUND_CHUNKS:
            self._room = self._limit - depth(self._app)  # a connection of its own: too dear for every round
        if self._room <= 0:
            return 0
        taken = mark_published(self._database, self._run.id, min(ROUND_CHUNKS, self._room))
        self._room -= len(taken)
        publish(
            self._app,
            (
                ChunkMessage(
                    database=self._identity,
                    chunk_id=chunk.id,
                    attempt=chunk.attempt,
                    run_id=self._run.id,
                    images=chunk.images,
                )
                for chunk in taken
            ),
        )
        self._again.update(chunk.id for chunk in taken if chunk.attempt > 1)
        return len(taken)

    def times_republished(self, chunk_id: int) -> int:
        """Return how often this command has published a chunk again."""
        return self._again[chunk_id]
