"""How many workers are started, and what each may hold: no more than the machine or its container has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from common.settings import load_settings
from host.machine import Machine, available_cpus, limits_in_words, machine, memory_limit_mb, worker_count
from tests.unit.host.test_cgroup import V2, tree

if TYPE_CHECKING:
    from pathlib import Path


def offering(cpus: int, memory_mb: int, *, host_cpus: int = 16, has_memory_limit: bool = False) -> Machine:
    return Machine(
        host_cpus=host_cpus,
        cpus=cpus,
        memory_mb=memory_mb,
        is_quota=cpus < host_cpus,
        has_memory_limit=has_memory_limit,
    )


def test_by_default_there_is_a_worker_for_each_cpu_that_is_ours() -> None:
    assert worker_count(load_settings()) <= available_cpus() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("workers", [0, 3, 40])
def test_as_many_workers_as_are_asked_for_are_started(workers: int) -> None:
    assert worker_count(load_settings(workers=workers), offering(1, 1000)) == workers


@pytest.mark.parametrize(
    ("cpus", "memory_mb", "workers", "limit_mb"),
    [(16, 64_000, 16, 3968), (2, 64_000, 2, 31_750), (1, 2000, 1, 1500), (16, 2000, 3, 500), (4, 400, 1, 300)],
)
def test_workers_are_as_many_as_cpus_and_memory_allow_and_share_the_memory(
    cpus: int, memory_mb: int, workers: int, limit_mb: int
) -> None:
    """At least one, with at least 300 MB; and half a gigabyte for all else."""
    offered = offering(cpus, memory_mb)

    assert worker_count(load_settings(), offered) == workers
    assert memory_limit_mb(load_settings(), offered) == limit_mb


def test_a_memory_limit_that_is_set_is_kept_and_0_is_none() -> None:
    offered = offering(1, 2000)

    assert memory_limit_mb(load_settings(memory_limit_mb=4000), offered) == 4000
    assert memory_limit_mb(load_settings(memory_limit_mb=0), offered) is None


@pytest.mark.parametrize(
    ("quota", "cpus"), [("10000 100000", 1), ("100000 100000", 1), ("190000 100000", 1), ("max 100000", None)]
)
def test_of_a_quota_whole_cpus_count_and_one_at_least(quota: str, cpus: int | None, tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/\n", V2, {"cpu.max": quota})

    offered = machine(root)

    assert offered.cpus == (cpus or len(os.sched_getaffinity(0)))
    assert offered.is_quota == (offered.cpus < len(os.sched_getaffinity(0)))


def test_the_smaller_of_machine_and_container_is_the_memory_there_is(tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/\n", V2, {"memory.max": "2000000000"})
    (root / "proc/meminfo").write_text("MemFree:  1 kB\nMemTotal:       1000000 kB\n")
    assert (machine(root).memory_mb, machine(root).has_memory_limit) == (1024, False)

    (root / "proc/meminfo").write_text("MemTotal:       8000000 kB\n")
    assert (machine(root).memory_mb, machine(root).has_memory_limit) == (2000, True)


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        (offering(16, 64_000), None),
        (offering(2, 64_000), "2 of 16 CPUs: the quota of this container"),
        (
            offering(1, 2000, has_memory_limit=True),
            (
                "1 of 16 CPUs: the quota of this container; "
                "2.0 GB of memory: the limit of this container, 1.5 GB for each of 1 worker"
            ),
        ),
        (offering(16, 2000), "2.0 GB of memory: all that this machine has, 0.5 GB for each of 3 workers"),
    ],
)
def test_what_keeps_workers_from_the_whole_machine_is_said_in_one_line(offered: Machine, said: str | None) -> None:
    assert limits_in_words(load_settings(), offered) == said
