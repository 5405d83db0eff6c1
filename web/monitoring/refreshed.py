"""What is asked again and again, and takes a while to find out: one thread does so at a time, whoever asks."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Refreshed(Generic[T]):
    """A value that is found anew when somebody asks for it and the last one is too old."""

    def __init__(self, find: Callable[[], T], *, kept_s: float, limit_s: float) -> None:
        """Keep how it is found.

        Args:
            find: called in a thread.
            kept_s: seconds that a value is good for.
            limit_s: seconds that somebody waits for one at most.

        """
        self._find = find
        self._kept_s = kept_s
        self._limit_s = limit_s
        self._found: asyncio.Future[T] | None = None
        self._good_until = 0.0  #: by the monotonic clock

    @property
    def is_sought(self) -> bool:
        """Whether it is being found at this moment."""
        return self._found is not None and not self._found.done()

    async def value(self) -> T:
        """Return the value.

        Raises:
            TimeoutError: it has not been found in time; it is still being looked for.
            Exception: what `find` raised.

        """
        if self._found is None or (self._found.done() and time.monotonic() > self._good_until):
            self._found = asyncio.ensure_future(self._refresh())
        # Whoever waits may go away; the others still wait for the same.
        return await asyncio.wait_for(asyncio.shield(self._found), self._limit_s)

    async def _refresh(self) -> T:
        try:
            return await run_in_threadpool(self._find)
        finally:
            self._good_until = time.monotonic() + self._kept_s
