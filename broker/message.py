"""The message: one chunk of a run, as JSON arguments of one Celery task."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.app import LABEL_CHUNK, QUEUE
from broker.queue import translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from celery import Celery

#: Messages that go to Redis in one round trip; 64 of them are half a megabyte.
BATCH_MESSAGES = 64
_TASK_ID = re.compile(r"chunk-([0-9]{1,18})\.[0-9]+")


@dataclass(frozen=True, kw_only=True)
class ChunkMessage:
    """What `label_chunk` is called with."""

    run_id: int
    chunk_id: int
    attempt: int
    images: Sequence[tuple[int, str]]  #: image id and absolute path

    @property
    def task_id(self) -> str:
        """Name the message, so that it is known on the queue and in a worker without its body."""
        return task_id(self.chunk_id, self.attempt)


def task_id(chunk_id: int, attempt: int) -> str:
    """Return the Celery task id of a chunk's attempt."""
    return f"chunk-{chunk_id}.{attempt}"


def chunk_id(task: str) -> int | None:
    """Return the chunk of a `task_id`; None where it is not one."""
    found = _TASK_ID.fullmatch(task)
    return int(found[1]) if found else None


def publish(app: Celery, messages: Iterable[ChunkMessage]) -> None:
    """Put the messages on the queue.

    Raises:
        BrokerError: Redis is out of reach or full; some of the messages may be on the queue.

    """
    with translated(app), app.producer_pool.acquire(block=True) as producer, producer.batch(max_size=BATCH_MESSAGES):
        for message in messages:
            app.send_task(
                LABEL_CHUNK,
                args=(message.run_id, message.chunk_id, message.attempt, message.images),
                task_id=message.task_id,
                queue=QUEUE,
                producer=producer,
                # What `celery inspect` and Flower show; 64 paths would be a screenful, and cost time.
                argsrepr=f"run {message.run_id}, chunk {message.chunk_id}, attempt {message.attempt},"
                f" {len(message.images)} images",
                retry=False,  # half a batch cannot be tried again; whoever follows the run finds what is missing
            )
