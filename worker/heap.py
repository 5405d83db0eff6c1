"""How the allocator of a labelling process is to behave."""

from __future__ import annotations

import ctypes

#: glibc's `M_ARENA_MAX`: how many heaps its allocator may keep. Source: malloc.h, mallopt(3)
_HEAPS = -8


def keep_one_heap() -> None:
    """Have the allocator keep one heap for all threads of this process and its children; without glibc, do nothing.

    Files are read in threads of their own, each with a heap of its own by default, and let go in the main one. Over
    tens of thousands of images that takes 15 MB more in each process, and goes on growing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_HEAPS, 1)
