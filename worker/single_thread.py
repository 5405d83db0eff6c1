"""How a labelling process keeps to one core: one thread in its libraries, one heap in its allocator."""

from __future__ import annotations

import ctypes
import os

#: Libraries that would start a thread a core in each process; one process a core is the rule.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
#: glibc's `M_ARENA_MAX`: how many heaps its allocator may keep. Source: malloc.h, mallopt(3)
_HEAPS = -8


def keep_to_one_core() -> None:
    """Set up this process and those that it forks, before any engine is imported: later, libraries do not heed it.

    How many threads the environment asks for already is left as it is.
    """
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")
    _keep_one_heap()


def _keep_one_heap() -> None:
    """Have the allocator keep one heap for all threads; without glibc, do nothing.

    Files are read in threads of their own, each with a heap of its own by default, and let go in the main one. Over
    tens of thousands of images that takes 15 MB more in each process, and goes on growing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_HEAPS, 1)
