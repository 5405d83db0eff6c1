"""Calls that a dead disk or share may never answer: made in threads that can be left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, TypeVar

from common.settings import SILENT_S

T = TypeVar("T")
#: What a function that takes long calls now and then, to say that it gets on.
Alive = Callable[[], None]

#: Threads that may be left behind in calls that never return. Each holds a stack, of which it uses a few kilobytes.
MAX_LEFT_BEHIND = 64
#: Seconds that a call is given at the least once it is waited for: this whole process may have been stopped meanwhile.
_GRACE_S = 1.0
#: Seconds after which a thread that has nothing to do ends.
_IDLE_S = 30.0


class Call(Generic[T]):
    """One call, made by another thread."""

    def __init__(self, function: Callable[[Alive], T]) -> None:
        self._function = function
        self._done = threading.Event()
        self._heard_at = monotonic()
        self._result: T | None = None
        self._error: BaseException | None = None
        self.is_given_up = False  #: nobody waits for it any more

    def make(self) -> None:
        self._alive()
        try:
            self._result = self._function(self._alive)
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._error = error
        self._done.set()

    @property
    def is_done(self) -> bool:
        return self._done.is_set()

    def begin(self) -> None:
        """Make the call in a thread of its own."""
        threading.Thread(target=self.make, name="ask", daemon=True).start()

    def refuse(self, error: TimeoutError) -> None:
        """End the call, unmade, with an error."""
        self._error = error
        self._done.set()

    def result(self, silent_s: float) -> T:
        """Return what the call returned, or raise what it raised.

        Raises:
            TimeoutError: for so many seconds it neither ended nor said that it gets on.

        """
        while not self._done.wait(max(_GRACE_S, self._heard_at + silent_s - monotonic())):
            if monotonic() - self._heard_at >= silent_s:
                raise TimeoutError(None, f"no answer for {silent_s:.3g} s")
        if self._error:
            raise self._error
        return self._result  # type: ignore[return-value]  # what the function returned, None too

    def _alive(self) -> None:
        self._heard_at = monotonic()


class Threads:
    """A few threads that make calls; one whose call does not come back is left behind, and replaced.

    They are daemons: an interpreter that ends waits for none of them.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._calls: SimpleQueue[Call[object]] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0
        self._in_work: set[Call[object]] = set()
        self._left_behind: set[Call[object]] = set()

    def start(self, call: Call[T]) -> None:
        """Have a call made as soon as a thread is free; refuse it where too many never came back."""
        with self._lock:
            if len(self._left_behind) >= MAX_LEFT_BEHIND:
                call.refuse(TimeoutError(None, f"no answer to {len(self._left_behind)} earlier calls"))
                return
            if self._started < self._count:
                self._started += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            self._calls.put(call)  # type: ignore[arg-type]  # whatever it returns

    def leave(self, call: Call[T]) -> None:
        """Give a call up: it is not made, or its thread does no more after it, and another one takes its place."""
        with self._lock:
            call.is_given_up = True
            if call in self._in_work:
                self._in_work.remove(call)  # type: ignore[arg-type]
                self._left_behind.add(call)  # type: ignore[arg-type]
                self._started -= 1

    def ask(self, function: Callable[[Alive], T], silent_s: float) -> T:
        """Make a call and return its result.

        Raises:
            TimeoutError: it does not answer.

        """
        call = Call(function)
        self.start(call)
        try:
            return call.result(silent_s)
        finally:
            self.leave(call)

    def _work(self) -> None:
        while call := self._next():
            call.make()
            with self._lock:
                if call in self._left_behind:
                    self._left_behind.remove(call)
                    return
                self._in_work.discard(call)

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
                if not call.is_given_up:
                    self._in_work.add(call)
                    return call


def ask(function: Callable[[], T], silent_s: float | None = None) -> T:
    """Make one call that touches a disk, in a thread of its own, and return its result.

    Raises:
        TimeoutError: there was no answer for so many seconds, or for `SILENT_S`.

    """
    call = Call(lambda _alive: function())
    call.begin()
    return call.result(SILENT_S if silent_s is None else silent_s)
