"""Child processes that never outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PR_SET_PDEATHSIG = 1
#: Loaded here, not between fork and exec, where loading could wait for a lock of a thread that is gone.
_LIBC = ctypes.CDLL(None)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends, however it ends. Linux only; elsewhere a no-op.

    Args:
        parent_pid: of the parent, asked before the fork: one that ended meanwhile is not the parent any more. It may
            be 1, as in a container.

    Source: prctl(2), PR_SET_PDEATHSIG.

    """
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it ended before the call
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Let a Ctrl-C, SIGTERM or SIGHUP of this block come at its end.

    With a `preexec_fn`, Python forks itself; a KeyboardInterrupt out of one of the hooks that it calls then is printed,
    and lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    come: list[int] = []
    handlers = {
        sign: signal.signal(sign, lambda number, _frame: come.append(number))
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if callable(signal.getsignal(sign))
    }
    try:
        yield
    finally:
        for sign, handler in handlers.items():
            signal.signal(sign, handler)
        if come:
            signal.raise_signal(come[0])
