"""What this machine, or this container, offers to workers: so many CPUs, and so much memory for each."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.settings import LEAST_MEMORY_LIMIT_MB
from host.cgroup import cpu_quota, memory_limit_bytes

if TYPE_CHECKING:
    from common.settings import Settings

#: Megabytes left for what is no labelling process: the command, the worker's main process, Redis, the kernel's own.
RESERVED_MB = 500
#: Megabytes for which another worker is started: 300 hold a small model, and the rest a photo without a fast way.
WORKER_MB = 500


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What processes may use here."""

    host_cpus: int  #: of the machine
    cpus: int  #: that may be kept busy, at least 1
    memory_mb: int  #: that may be held
    is_quota: bool  #: whether it is a container's quota that leaves fewer CPUs than there are
    has_memory_limit: bool  #: whether it is a container's limit that leaves less memory than there is


def machine(root: Path = Path("/")) -> Machine:
    """Look at what this process may use, now."""
    host, allowed = os.cpu_count() or 1, _allowed_cpus()
    quota, limit = cpu_quota(root), memory_limit_bytes(root)
    cpus = allowed if quota is None else max(1, min(allowed, int(quota)))
    memory = _memory_bytes(root)
    return Machine(
        host_cpus=host,
        cpus=cpus,
        memory_mb=(memory if limit is None else min(memory, limit)) // 1_000_000,
        is_quota=cpus < allowed,
        has_memory_limit=limit is not None and limit < memory,
    )


def available_cpus() -> int:
    """CPUs that may be kept busy: what a container or `taskset` left of the machine's."""
    return machine().cpus


def worker_count(settings: Settings, offered: Machine | None = None) -> int:
    """Return how many worker processes to start: as many as are set, or as CPUs and memory allow."""
    if settings.workers is not None:
        return settings.workers
    offered = offered or machine()
    return max(1, min(offered.cpus, (offered.memory_mb - RESERVED_MB) // WORKER_MB))


def memory_limit_mb(settings: Settings, offered: Machine | None = None) -> int | None:
    """Return what each worker process may hold: as much as is set, or its share of the memory; None: anything."""
    if settings.memory_limit_mb is not None:
        return settings.memory_limit_mb or None
    offered = offered or machine()
    share = (offered.memory_mb - RESERVED_MB) // max(1, worker_count(settings, offered))
    return max(LEAST_MEMORY_LIMIT_MB, share)


def limits_in_words(settings: Settings, offered: Machine | None = None) -> str | None:
    """Say what keeps workers from using all of the machine; None where nothing does."""
    offered = offered or machine()
    said = []
    if offered.cpus < offered.host_cpus:
        why = "the quota of this container" if offered.is_quota else "the others are not for this process"
        said.append(f"{offered.cpus} of {offered.host_cpus} CPUs: {why}")
    workers = worker_count(settings, offered)
    if offered.has_memory_limit or (settings.workers is None and workers < offered.cpus):
        whose = "the limit of this container" if offered.has_memory_limit else "all that this machine has"
        limit = memory_limit_mb(settings, offered)
        each = f", {_gb(limit)} for each of {workers} worker{'s' * (workers > 1)}" if limit and workers else ""
        said.append(f"{_gb(offered.memory_mb)} of memory: {whose}{each}")
    return "; ".join(said) or None


def _gb(megabytes: int) -> str:
    return f"{megabytes / 1000:.1f} GB"


def _allowed_cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def _memory_bytes(root: Path) -> int:
    """Return the machine's memory. Some containers show theirs in `meminfo`, as LXC's do."""
    try:
        found = re.search(r"MemTotal:\s+(\d+) kB", (root / "proc/meminfo").read_text())
    except OSError:  # macOS
        found = None
    return int(found[1]) * 1024 if found else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
