"""The message: one chunk of a database's run, as JSON arguments of one Celery task.

It names the chunk and nothing else. Which images those are, and of which run, the worker learns from its own database:
what a message says of paths or models could be another's, old, or forged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from broker.app import LABEL_CHUNK
from broker.queue import translated_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

#: Messages that go to Redis in one round trip; 64 of them are half a megabyte.
BATCH_MESSAGES = 64
#: Above it, no id is one of a database's.
_MAX_ID = 2**63 - 1
_IDENTITY = re.compile(r"[0-9a-f-]{36}")
_TASK_ID = re.compile(rf"({_IDENTITY.pattern})\.chunk-([0-9]{{1,18}})\.[0-9]+")


@dataclass(frozen=True, kw_only=True)
class ChunkMessage:
    """What `label_chunk` is called with."""

    database: str  #: its identity
    chunk_id: int
    attempt: int
    run_id: int | None = None  #: for people who look at the queue; it does not travel as an argument
    images: int | None = None  #: how many, likewise

    @classmethod
    def of_arguments(cls, arguments: tuple[object, ...]) -> Self:
        """Return what a message's arguments say.

        Raises:
            ValueError: they are not those of a message.

        """
        match arguments:
            case (str(database), int(chunk_id), int(attempt)) if (
                _IDENTITY.fullmatch(database) and _is_id(chunk_id) and _is_id(attempt)
            ):
                return cls(database=database, chunk_id=chunk_id, attempt=attempt)
        raise ValueError("it is none of this version's messages")

    @property
    def arguments(self) -> tuple[str, int, int]:
        return self.database, self.chunk_id, self.attempt

    @property
    def task_id(self) -> str:
        """Name the message, so that it is known on the queue and in a worker without its body."""
        return task_id(self.database, self.chunk_id, self.attempt)

    @property
    def described(self) -> str:
        """What `celery inspect` and Flower show."""
        return f"run {self.run_id}, chunk {self.chunk_id}, attempt {self.attempt}, {self.images} images"

    def __str__(self) -> str:
        return f"Chunk {self.chunk_id}, attempt {self.attempt},"


def _is_id(number: int) -> bool:
    return 0 < number <= _MAX_ID and not isinstance(number, bool)


def task_id(database: str, chunk_id: int, attempt: int) -> str:
    """Return the Celery task id of a chunk's attempt."""
    return f"{database}.chunk-{chunk_id}.{attempt}"


def chunk_id(database: str, task: str) -> int | None:
    """Return the chunk of a `task_id`; None where it is not one of this database's."""
    found = _TASK_ID.fullmatch(task)
    return int(found[2]) if found and found[1] == database else None


def publish(app: Celery, messages: Iterable[ChunkMessage]) -> None:
    """Put the messages on the queue.

    Raises:
        BrokerError: Redis is out of reach or full; some of the messages may be on the queue.

    """
    queue = app.conf.task_default_queue
    declare: list[object] | None = None  # the queue, by Celery: for the first message
    with (
        translated_errors(app),
        app.producer_pool.acquire(block=True) as producer,
        producer.batch(max_size=BATCH_MESSAGES),
    ):
        for message in messages:
            # What `send_task` does in the end. All that it finds out before, per message, is known here.
            task = app.amqp.as_task_v2(
                message.task_id,
                LABEL_CHUNK,
                args=message.arguments,
                argsrepr=message.described,
                kwargsrepr="{}",
                ignore_result=None,
            )
            app.amqp.send_task_message(
                producer,
                LABEL_CHUNK,
                task,
                queue=queue,
                declare=declare,
                argsrepr=message.described,
                retry=False,  # half a batch cannot be tried again; whoever follows the run finds what is missing
            )
            declare = []
