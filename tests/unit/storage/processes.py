"""Real processes that do the same thing at once; quick to start, since each is forked from one that is warm."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.synchronize import Barrier

#: Seconds; a process that is not done by then is stuck.
_LONGEST_S = 240
_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload(
    ["__main__", "alembic.command", "psycopg", "tests.unit.storage.nights", "tests.unit.broker.queues"]
)


def at_once(target: Callable[..., None], calls: Sequence[tuple[Any, ...]]) -> list[int | None]:
    """Call `target` in one process for each of `calls`, all at the same moment; return their exit statuses.

    A negative status is the signal that ended the process; 1, an exception, which is on standard error.
    """
    barrier = _warm.Barrier(len(calls))
    processes = [_warm.Process(target=_wait_and_call, args=(barrier, target, call), daemon=True) for call in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_LONGEST_S)
    return [process.exitcode for process in processes]


@contextmanager
def beside(target: Callable[..., None], *arguments: Any) -> Iterator[int]:
    """Let a process call `target` for as long as the block lasts; then kill it. Yield its number."""
    process = _warm.Process(target=target, args=arguments, daemon=True)
    process.start()
    try:
        assert process.pid
        yield process.pid
    finally:
        process.kill()
        process.join()


def _wait_and_call(barrier: Barrier, target: Callable[..., None], call: tuple[Any, ...]) -> None:
    barrier.wait(_LONGEST_S)
    target(*call)
