"""Child processes for what decoders and models do: one that crashes, hangs or takes all memory costs one answer."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import sys
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from common.child_process import die_with_parent
from common.errors import NightlabelError
from host.memory import limit_memory_once_loaded
from host.process import give_way
from worker.single_thread import use_single_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: The page gives way to the night, and these processes give way to the page: nice(1).
LEAST_URGENT = 19
#: Seconds in which a process starts and imports what it needs, on a busy machine.
_START_S = 30.0
#: Processes that a task is given to; the second one is new: the first may have ended before it saw the task.
_TRIES = 2


class BusyError(NightlabelError):
    """Too many wait for the same already; try again in a moment."""


class LostTaskError(NightlabelError):
    """The process that was to answer ended, or took too long."""


class TimeLimitError(LostTaskError):
    """The process that was to answer took too long."""


@contextmanager
def not_importing_the_program() -> Iterator[None]:
    """Have the processes of this block not import the program that started it: somebody's script would run once more.

    What they are given are functions of our own modules. Source: multiprocessing/spawn.py, `_fixup_main_from_name`,
    which imports nothing for this name.
    """
    program = sys.modules["__main__"]
    spec, program.__spec__ = program.__spec__, ModuleSpec("__main__", None)
    try:
        yield
    finally:
        program.__spec__ = spec


class Processes:
    """A few processes that run one function each at a time; further callers wait for their turn, up to a limit.

    A process starts when it is needed, ends with this one however that ends, and is replaced when it ends before. All
    of it is for one event loop.

    Args:
        count: of processes, at most.
        most_waiting: callers that may wait for their turn.
        memory_mb: that a process may hold; None: anything.
        niceness: of the processes, nice(1), once they have imported what they need.
        imports: modules with the functions that they run.

    """

    def __init__(
        self,
        count: int,
        most_waiting: int,
        memory_mb: int | None,
        niceness: int = LEAST_URGENT,
        imports: tuple[str, ...] = (),
    ) -> None:
        self._most_waiting = most_waiting
        self._beginning = (os.getpid(), memory_mb, niceness, imports)
        self._waiting = 0
        self._is_closed = False
        self._turns = asyncio.Semaphore(count)
        # Of one process each: so it is never in doubt which task a process that ended had.
        self._pools = [self._new_pool() for _ in range(count)]
        self._idle = list(self._pools)
        self._tasks: set[asyncio.Task[object]] = set()

    async def run(self, timeout_s: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in one of the processes, and return its result or raise what it raised.

        A caller that is cancelled gives up its place in the queue. What runs already is left to its end: another
        process would cost more.

        Args:
            timeout_s: seconds that the function may take; then its process is killed.
            function: of a module, by whose name the process imports it. What it takes, returns and raises is pickled.
            args: of the function.
            kwargs: of the function.

        Raises:
            BusyError: too many wait already.
            LostTaskError: the process ended, or took too long.

        """
        if self._turns.locked() and self._waiting >= self._most_waiting:
            raise BusyError
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        task = asyncio.create_task(self._run(timeout_s, partial(function, *args, **kwargs)))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def close(self) -> None:
        """End the processes, with whatever they are at, and wait until they are gone; none starts any more."""
        self._is_closed = True
        for pool in self._pools:
            pool.stop()
        for pool in self._pools:
            pool.join()

    async def _run(self, timeout_s: float, function: Callable[[], T]) -> T:
        pool = self._idle.pop()
        try:
            for _ in range(0 if self._is_closed else _TRIES):
                if not pool.active:
                    pool = await self._replace(pool)
                try:
                    return await self._result(pool, timeout_s, function)
                except BrokenProcessPool:  # it ended without a task, as where the kernel lacks memory
                    logger.warning("a process of the page ended by itself; another one takes its place")
            raise LostTaskError
        finally:
            self._idle.append(pool)
            self._turns.release()

    async def _result(self, pool: ProcessPool, timeout_s: float, function: Callable[[], T]) -> T:
        future = pool.schedule(function, timeout=timeout_s)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), timeout_s + _START_S)
        except TimeoutError:
            if future.cancelled():  # by the wait: the process did not even begin
                pool.stop()
            raise TimeLimitError(f"It took longer than {timeout_s:g} s.") from None
        except ProcessExpired as error:
            raise LostTaskError(f"The process that was to answer ended with status {error.exitcode}.") from None

    async def _replace(self, pool: ProcessPool) -> ProcessPool:
        pool.stop()
        await asyncio.to_thread(pool.join)
        new = self._new_pool()
        self._pools[self._pools.index(pool)] = new
        return new

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            1,
            initializer=_begin,
            initargs=self._beginning,
            # A fork of a process with threads may wait for ever for a lock that one of them held.
            context=multiprocessing.get_context("spawn"),
        )

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: its caller may be gone


def _begin(parent_pid: int, memory_mb: int | None, niceness: int, imports: tuple[str, ...]) -> None:
    die_with_parent(parent_pid)
    use_single_thread()
    for module in imports:  # a second's work, which behind busy workers would take longer than an answer may
        import_module(module)
    os.setsid()  # a niceness counts for all of the machine only in a session of one's own
    give_way(niceness)
    if memory_mb is not None:
        limit_memory_once_loaded(memory_mb)
