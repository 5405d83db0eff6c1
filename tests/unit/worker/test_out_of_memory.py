"""What the kernel says of processes that it ended, and the limit that keeps it from doing so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from host.memory import OomKills, oom_kills
from tests.processes import in_a_process
from tests.unit.host.test_cgroup import V2, tree

if TYPE_CHECKING:
    from pathlib import Path


def test_the_containers_own_count_comes_before_the_machines(tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/\n", V2, {"memory.events": "oom 5\noom_kill 2"})
    (root / "proc/vmstat").write_text("nr_free_pages 1\noom_kill 7\n")

    assert oom_kills(root) == 2


def test_without_a_container_the_machines_count_is_taken(tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/\n", V2, {})
    (root / "proc/vmstat").write_text("nr_free_pages 1\noom_kill 7\n")

    assert oom_kills(root) == 7


def test_where_nobody_counts_nobody_was_killed(tmp_path: Path) -> None:
    assert oom_kills(tmp_path) is None
    assert not OomKills(tmp_path).has_killed()


def test_a_kill_is_told_once(tmp_path: Path) -> None:
    """What happened before the worker started is no news, and one kill ends one process."""
    root = tree(tmp_path, "0::/\n", V2, {"memory.events": "oom_kill 2"})
    kills = OomKills(root)
    assert not kills.has_killed()
    (root / "sys/fs/cgroup/memory.events").write_text("oom_kill 3\n")

    assert kills.has_killed()
    assert not kills.has_killed()


_LIMITED = """
import json, resource, sys
from host.memory import data_segment_mb, lift_limit, limit_memory

def largest():
    for megabytes in (800, 400, 200, 100):
        try:
            bytearray(megabytes * 1_000_000)
        except MemoryError:
            continue
        return megabytes

if sys.argv[1] == "outside":
    resource.setrlimit(resource.RLIMIT_DATA, ((data_segment_mb() + 250) * 1_000_000,) * 2)
limit_memory(data_segment_mb() + 500, may_be_lifted=True)
limited = largest()
lift_limit()
print(json.dumps([limited, largest()]))
"""


@pytest.mark.parametrize(("set_before", "most"), [("nothing", [400, 800]), ("outside", [200, 200])])
def test_a_limit_refuses_memory_and_a_lower_one_from_outside_stays(set_before: str, most: list[int]) -> None:
    assert in_a_process(_LIMITED, set_before) == most
