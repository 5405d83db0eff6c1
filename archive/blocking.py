"""Calls that a dead disk or share may never answer: made in threads that can be abandoned.

Nothing can end a call that waits in the kernel. So whoever needs its result waits in another thread, for as long as the
call gives signs of life, and gives it up together with its thread where there are none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, TypeVar

from common.settings import SILENT_S

T = TypeVar("T")
#: What a function that takes long calls now and then, to say that it makes progress.
Heartbeat = Callable[[], None]

#: Threads of a pool that may be abandoned in calls that never return. Each holds a stack, of which it uses a few
#: kilobytes.
MAX_ABANDONED = 64
#: Seconds that a call is given at the least once it is waited for: this whole process may have been stopped meanwhile.
_GRACE_S = 1.0
#: Seconds after which a thread that has nothing to do ends.
_IDLE_S = 30.0


class Call(Generic[T]):
    """A function that one thread runs while another one waits for its result."""

    def __init__(self, function: Callable[[Heartbeat], T]) -> None:
        self._function = function
        self._done = threading.Event()
        self._last_heartbeat = monotonic()
        self._result: T | None = None
        self._error: BaseException | None = None
        self.is_abandoned = False  #: nobody waits for it any more

    def run(self) -> None:
        self._heartbeat()
        try:
            self._result = self._function(self._heartbeat)
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._error = error
        self._done.set()

    @property
    def is_done(self) -> bool:
        return self._done.is_set()

    def start(self) -> None:
        """Run it in a thread of its own."""
        threading.Thread(target=self.run, name="call", daemon=True).start()

    def fail(self, error: TimeoutError) -> None:
        """End it with an error, without having run it."""
        self._error = error
        self._done.set()

    def result(self, silent_s: float) -> T:
        """Wait for what the function returns, and return it, or raise what it raised.

        Raises:
            TimeoutError: for so many seconds it neither ended nor gave a heartbeat.

        """
        while not self._done.wait(max(_GRACE_S, self._last_heartbeat + silent_s - monotonic())):
            if monotonic() - self._last_heartbeat >= silent_s:
                raise TimeoutError(None, f"no answer for {silent_s:.3g} s")
        if self._error:
            raise self._error
        return self._result  # type: ignore[return-value]  # what the function returned, None too

    def _heartbeat(self) -> None:
        self._last_heartbeat = monotonic()


class CallThreads:
    """A pool of a few threads that run calls; one whose call does not come back is abandoned, and replaced.

    They are daemons: an interpreter that ends waits for none of them.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._calls: SimpleQueue[Call[object]] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0
        self._running: set[Call[object]] = set()
        self._abandoned: set[Call[object]] = set()

    def submit(self, call: Call[T]) -> None:
        """Have a call run as soon as a thread is free; fail it where too many never came back."""
        with self._lock:
            if len(self._abandoned) >= MAX_ABANDONED:
                call.fail(TimeoutError(None, f"no answer to {len(self._abandoned)} earlier calls"))
                return
            if self._started < self._count:
                self._started += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            self._calls.put(call)  # type: ignore[arg-type]  # whatever it returns

    def abandon(self, call: Call[T]) -> None:
        """Give a call up, if it is not done: it is not run, or its thread ends after it and another one takes over."""
        with self._lock:
            call.is_abandoned = True
            if call in self._running:
                self._running.remove(call)  # type: ignore[arg-type]
                self._abandoned.add(call)  # type: ignore[arg-type]
                self._started -= 1

    def call(self, function: Callable[[Heartbeat], T], silent_s: float) -> T:
        """Run a function in one of the threads and return its result.

        Raises:
            TimeoutError: it does not answer.

        """
        call = Call(function)
        self.submit(call)
        try:
            return call.result(silent_s)
        finally:
            self.abandon(call)

    def _work(self) -> None:
        while call := self._next():
            call.run()
            with self._lock:
                if call in self._abandoned:
                    self._abandoned.remove(call)
                    return
                self._running.discard(call)

    def _next(self) -> Call[object] | None:
        """Return the next call; None, and this thread counts no more, if there is none for a while."""
        while True:
            try:
                call = self._calls.get(timeout=_IDLE_S)
            except Empty:
                with self._lock:
                    if self._calls.empty():  # none was added meanwhile
                        self._started -= 1
                        return None
                continue
            with self._lock:
                if not call.is_abandoned:
                    self._running.add(call)
                    return call


def call_with_timeout(function: Callable[[], T], silent_s: float | None = None) -> T:
    """Run a function that touches a disk in a thread of its own, and return its result.

    Raises:
        TimeoutError: there was no answer for so many seconds, or for `SILENT_S`.

    """
    call = Call(lambda _heartbeat: function())
    call.start()
    return call.result(SILENT_S if silent_s is None else silent_s)
