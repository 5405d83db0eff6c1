"""Child processes that never outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

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
