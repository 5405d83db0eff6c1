"""Celery's request, with a record of what crashed a labelling process: the next start of its chunk needs to know.

A child that is killed cannot say anything. Its parent sees the signal, or has sent it when the time limit was over.
What is overridden is of celery 5.7.0, celery/worker/request.py: `Request.on_timeout` and `Request.on_failure`, which
requeues the task of a lost child without a bound (https://github.com/celery/celery/issues/9082).
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from billiard.exceptions import WorkerLostError
from celery.worker.request import Request
from celery.worker.state import task_ready

from broker.message import ChunkMessage
from common.errors import DatabaseError
from host.memory import OomKills
from storage.chunk_claims import record_crash
from storage.database import Database
from worker.chunk_errors import ReplaceProcess
from worker.log_fields import chunk_fields
from worker.single_images import OUT_OF_MEMORY, TIME_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from billiard.einfo import ExceptionInfo

    from common.settings import Settings

logger = logging.getLogger(__name__)

#: As billiard says it: `Worker exited prematurely: signal 11 (SIGSEGV) Job: 7.`
_LOST = re.compile(r"prematurely: (.+?)(?: Job: \d+)?\.?$")
#: What the kernel ends a process with when memory is short; others may send it too.
_KILL = "SIGKILL"


def request_class(settings: Settings, on_replaced: Callable[[ReplaceProcess], None]) -> type[Request]:
    """Return the class of the requests that a worker with these settings makes of its messages.

    Args:
        settings: with the URL of the database.
        on_replaced: is called for each process that ends itself.

    Source: https://docs.celeryq.dev/en/stable/userguide/tasks.html#requests-and-custom-requests

    """
    oom_kills = OomKills()

    class ChunkRequest(Request):  # type: ignore[misc]  # Celery has no types
        """A chunk in work, seen from the main process."""

        def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: FBT001 - Celery's
            if not soft:
                _record_crash(settings, self.args, f"{TIME_LIMIT} of {timeout:g} s")
            super().on_timeout(soft, timeout)

        def on_failure(self, exc_info: ExceptionInfo, *args: Any, **options: Any) -> None:  # noqa: ANN401
            error = exc_info.exception
            error = getattr(error, "exc", error)  # billiard's wrapper, which carries the traceback
            if isinstance(error, ReplaceProcess):
                task_ready(self)
                self.reject(requeue=True)
                on_replaced(error)
                return
            if isinstance(error, WorkerLostError):
                found = _LOST.search(str(error))
                said = found[1] if found else str(error)
                _record_crash(settings, self.args, OUT_OF_MEMORY if _KILL in said and oom_kills.has_killed() else said)
            super().on_failure(exc_info, *args, **options)

    return ChunkRequest


def _record_crash(settings: Settings, arguments: Sequence[object], cause: str) -> None:
    """Record what crashed the process that had the chunk; `arguments`: of its message."""
    message = ChunkMessage.of_arguments(tuple(arguments))
    # Opened and closed here: a child that is forked later must inherit no connection.
    database = Database(settings.database_url, must_exist=True)
    try:
        record_crash(database, message.database, message.chunk_id, message.attempt, cause)
    except DatabaseError as error:  # then it counts as a crash that nobody saw
        logger.warning(
            "Chunk %d was ended by %s, which could not be recorded. %s",
            message.chunk_id,
            cause,
            error,
            extra={"action": "crash_not_recorded", "cause": cause, "error": str(error), **chunk_fields(message)},
        )
    finally:
        database.close()
