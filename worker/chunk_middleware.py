"""The seam around a chunk: what hangs beside load → label → store, so that the task names none of it.

A middleware is told of each chunk before it is labelled, after it is stored, and when it fails; and it may contribute
rows that are stored in the chunk's own transaction. Samples and the log of chunks hang here; metrics can. The idea, and
the names, are dramatiq's: https://dramatiq.io/reference.html#middleware

What a middleware is given is immutable, and what it raises is logged and changes nothing: no chunk is lost, labelled
again or labelled wrongly over it.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from celery.exceptions import SoftTimeLimitExceeded, WorkerShutdown, WorkerTerminate

from storage.samples import ChunkRow
from worker.log_fields import chunk_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from broker.message import ChunkMessage
    from storage.chunk_claims import Claim
    from storage.outcomes import Stored
    from storage.records import Outcome

logger = logging.getLogger(__name__)

#: What is no error of a middleware's: the chunk's time limit, and Celery's own way of ending a worker.
_NOT_ITS_OWN = (SoftTimeLimitExceeded, WorkerShutdown, WorkerTerminate)


@dataclass(frozen=True, kw_only=True)
class ChunkResult:
    """What became of a chunk."""

    stored: Stored  #: `DONE`, or `TOO_LATE` where another worker was first
    outcomes: tuple[Outcome, ...]  #: of the images that this start labelled, in no particular order
    store_s: float  #: seconds spent on storing it, most of them waiting for the database


class ChunkMiddleware:
    """Does something beside each chunk; every hook does nothing unless it is overridden.

    One instance belongs to one labelling process, which labels one chunk at a time. Hooks run within the chunk's time
    limit: one that waits delays the chunk.
    """

    def before(self, claimed: Claim) -> None:
        """Do something before the chunk is labelled."""

    def rows(self, claimed: Claim) -> Sequence[ChunkRow]:  # noqa: ARG002 - for those who override it
        """Return rows to be stored in the transaction in which the chunk is marked done: both are there, or neither.

        Asked once, when the chunk is labelled. Rows that the database refuses are left out, and the chunk is stored.
        """
        return ()

    def after(self, claimed: Claim, result: ChunkResult) -> None:
        """Do something after the transaction was committed, or found that the chunk is done or has changed."""

    def failed(self, chunk: Claim | ChunkMessage, error: Exception) -> None:
        """Do something about an error over which the chunk goes back to the queue.

        Args:
            chunk: as it was claimed; the message, where it could not be claimed.
            error: what was raised. Images that fail are no error: they are among the outcomes.

        """


class MiddlewareStack:
    """All middleware of a process, called one after the other: `after` and `failed` in reverse, as dramatiq does."""

    def __init__(self, *middleware: ChunkMiddleware) -> None:
        self._middleware = middleware

    def before(self, claimed: Claim) -> None:
        for one in self._middleware:
            with _guarded(one, "before", claimed):
                one.before(claimed)

    def rows(self, claimed: Claim) -> tuple[ChunkRow, ...]:
        rows: list[ChunkRow] = []
        for one in self._middleware:
            with _guarded(one, "rows", claimed):
                rows += _checked(one.rows(claimed))
        return tuple(rows)

    def after(self, claimed: Claim, result: ChunkResult) -> None:
        for one in reversed(self._middleware):
            with _guarded(one, "after", claimed):
                one.after(claimed, result)

    def failed(self, chunk: Claim | ChunkMessage, error: Exception) -> None:
        for one in reversed(self._middleware):
            # Whatever happens here, the chunk must go back: the time limit, too, has nothing left to end.
            try:
                with _guarded(one, "failed", chunk):
                    one.failed(chunk, error)
            except SoftTimeLimitExceeded:
                continue


def _checked(rows: Sequence[ChunkRow]) -> list[ChunkRow]:
    """Return the rows as a list.

    Raises:
        TypeError: one is of a kind that nobody knows how to store.

    """
    found = list(rows)
    for row in found:
        if not isinstance(row, get_args(ChunkRow)):
            raise TypeError(f"{type(row).__name__} is no row that can be stored with a chunk")
    return found


@contextmanager
def _guarded(middleware: ChunkMiddleware, hook: str, chunk: Claim | ChunkMessage) -> Iterator[None]:
    """Log what a hook raises, `sys.exit` included, and go on with the chunk."""
    try:
        yield
    except _NOT_ITS_OWN:
        raise
    except (Exception, SystemExit):
        name = type(middleware).__name__
        logger.exception(
            "%s raised an error in %s, which is ignored: chunk %d goes on as if it had not",
            name,
            hook,
            chunk.chunk_id,
            extra={"action": "middleware_failed", "middleware": name, "hook": hook, **chunk_fields(chunk)},
        )
