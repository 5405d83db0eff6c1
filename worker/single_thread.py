"""One thread per labelling process: in its numeric libraries, and one arena in its allocator."""

from __future__ import annotations

import ctypes
import os

#: What tells libraries how many threads to start: one per CPU by default, and here there is one process per CPU.
THREAD_COUNT_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
#: How many arenas glibc's allocator may have. Source: malloc.h, mallopt(3)
_M_ARENA_MAX = -8


def use_single_thread() -> None:
    """Limit this process and those that it forks to one thread of each library.

    Call it before an engine is imported: afterwards, the libraries do not look at their variables again. A number of
    threads that the environment names already is left as it is.
    """
    for variable in THREAD_COUNT_VARIABLES:
        os.environ.setdefault(variable, "1")
    _use_one_arena()


def _use_one_arena() -> None:
    """Have the allocator use one arena for all threads; without glibc, do nothing.

    Files are read in threads of their own, each with its own arena by default, and freed in the main thread. Over tens
    of thousands of images that takes 15 MB more in each process, and goes on growing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_ARENA_MAX, 1)
