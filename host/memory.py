"""What a process holds, what it may hold, and whether the kernel ends processes since memory is short."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

from common.settings import LEAST_MEMORY_LIMIT_MB
from host import cgroup


def peak_rss_bytes() -> int:
    """Return the most memory that this process held so far, in bytes.

    Where the kernel says it: `getrusage` counts what the process that started this one held before the exec, too.
    Source: proc_pid_status(5), VmHWM.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    if found:
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def data_segment_mb() -> int:
    """Return the size of this process's data segment, which `limit_memory` limits; 0 where the kernel does not say."""
    status = Path("/proc/self/status")
    found = re.search(r"VmData:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    return int(found[1]) * 1024 // 1_000_000 if found else 0


def limit_memory(megabytes: int, *, may_be_lifted: bool = False) -> None:
    """Have the allocator refuse what would take this process beyond so much. What it holds already stays.

    A lower limit that was set from outside stays too: nobody but root may raise it. Source: getrlimit(2), RLIMIT_DATA.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = megabytes * 1_000_000
    if most != resource.RLIM_INFINITY:
        limit = min(limit, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most if may_be_lifted else limit))


def limit_memory_once_loaded(megabytes: int) -> None:
    """Limit a process that has loaded its model, and always leave room for an ordinary picture beside it."""
    limit_memory(max(megabytes, data_segment_mb() + LEAST_MEMORY_LIMIT_MB), may_be_lifted=True)


def lift_limit() -> None:
    """Undo a limit that may be lifted: for a process of another kind that a limited one has started."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def oom_kills(root: Path = Path("/")) -> int | None:
    """Return how many processes the kernel has killed for lack of memory, so far; None where it does not say.

    Of this container, if it counts them; else of the whole machine. Source: proc_vmstat(5)
    """
    if (kills := cgroup.oom_kills(root)) is not None:
        return kills
    counters = root / "proc/vmstat"
    found = re.search(r"^oom_kill (\d+)$", counters.read_text(), re.MULTILINE) if counters.is_file() else None
    return int(found[1]) if found else None


class OomKills:
    """Tells whether the kernel has killed for lack of memory since it was last asked.

    Any process, of this container or machine: nobody says which. One that was killed at that time was most likely it.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._seen = oom_kills(root) or 0

    def has_killed(self) -> bool:
        before, self._seen = self._seen, oom_kills(self._root) or 0
        return self._seen > before
