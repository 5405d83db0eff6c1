"""Quotas of containers, read from trees of files as the kernel lays them out for both versions of control groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from host.cgroup import cpu_quota, memory_limit_bytes, oom_kills

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GB = 10**9
V2 = "31 23 0:28 {inside} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup rw,nsdelegate\n"
V1 = "".join(
    f"3{at} 31 0:4{at} {{inside}} /sys/fs/cgroup/{name} ro,nosuid shared:{at} master:1 - cgroup cgroup rw,{name}\n"
    for at, name in enumerate(("cpu,cpuacct", "memory", "pids"))
)
NONE_V1 = str(2**63 - 4096)


def tree(root: Path, groups: str, mounts: str, files: Mapping[str, str], inside: str = "/") -> Path:
    """Lay out `/proc/self` and, below `/sys/fs/cgroup`, some files."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    others = "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    (root / "proc/self/mountinfo").write_text(others + mounts.format(inside=inside))
    for name, content in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content + "\n")
    return root


def test_a_container_of_version_2_sees_its_own_group_at_the_top(tmp_path: Path) -> None:
    files = {"cpu.max": "200000 100000", "memory.max": str(2 * GB), "memory.events": "low 0\noom 3\noom_kill 2"}
    root = tree(tmp_path, "0::/\n", V2, files)

    assert (cpu_quota(root), memory_limit_bytes(root), oom_kills(root)) == (2, 2 * GB, 2)


def test_of_nested_groups_the_tightest_limit_counts(tmp_path: Path) -> None:
    """A service of systemd's, in a slice that has a quota; what a group says is not undone by «max» within it."""
    files = {
        "night.slice/cpu.max": "150000 100000",
        "night.slice/memory.max": "max",
        "night.slice/run.service/cpu.max": "max 100000",
        "night.slice/run.service/memory.max": str(3 * GB),
        "night.slice/run.service/memory.high": str(2 * GB),
        "night.slice/run.service/memory.events": "oom_kill 1",
        "night.slice/memory.events": "oom_kill 9",
    }
    root = tree(tmp_path, "0::/night.slice/run.service\n", V2, files)

    assert (cpu_quota(root), memory_limit_bytes(root), oom_kills(root)) == (1.5, 2 * GB, 1)


def test_groups_of_version_1_have_a_tree_for_each_controller(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "50000",
        "cpu,cpuacct/docker/ab/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/docker/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/docker/cpu.cfs_period_us": "100000",
        "memory/docker/ab/memory.limit_in_bytes": NONE_V1,
        "memory/docker/memory.limit_in_bytes": str(GB),
        "memory/docker/ab/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4",
    }
    groups = "4:pids:/docker/ab\n3:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n0::/\n"
    root = tree(tmp_path, groups, V1, files)

    assert (cpu_quota(root), memory_limit_bytes(root), oom_kills(root)) == (0.5, GB, 4)


@pytest.mark.parametrize("path", ["/docker/ab", "/docker/ab/worker", "/../../elsewhere", "/not/mounted/here"])
def test_a_path_that_the_container_does_not_see_is_its_own_top(path: str, tmp_path: Path) -> None:
    """Docker on version 1 mounts the group itself, and names it by its path outside."""
    files = {"memory/memory.limit_in_bytes": str(GB)}
    root = tree(tmp_path, f"3:memory:{path}\n", V1, files, inside="/docker/ab")

    assert memory_limit_bytes(root) == GB


def test_both_versions_at_once_are_both_asked(tmp_path: Path) -> None:
    """A hybrid: version 2 is mounted, and the controllers are version 1's."""
    mounts = V1 + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    files = {"memory/a/memory.limit_in_bytes": str(GB), "unified/cgroup.procs": "1"}
    root = tree(tmp_path, "3:memory:/a\n0::/\n", mounts, files)

    assert (cpu_quota(root), memory_limit_bytes(root)) == (None, GB)


def test_a_mount_with_a_blank_in_its_name_is_found(tmp_path: Path) -> None:
    mounts = r"31 23 0:28 / /sys/fs/cgroup/my\040groups rw - cgroup2 cgroup rw" + "\n"
    root = tree(tmp_path, "0::/\n", mounts, {"my groups/cpu.max": "300000 100000"})

    assert cpu_quota(root) == 3


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000", "memory.max": "max", "memory.high": "max"},
        {"cpu.max": "", "memory.max": ""},
        {"cpu.max": "much 100000", "memory.max": "-1"},
        {"cpu.max": "100000 0", "memory.max": "\udcff".encode(errors="surrogateescape").decode(errors="replace")},
    ],
    ids=["no files", "max", "empty", "no numbers", "no period"],
)
def test_where_nothing_is_limited_nothing_is_said(files: dict[str, str], tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/\n", V2, files)

    assert (cpu_quota(root), memory_limit_bytes(root), oom_kills(root)) == (None, None, None)


def test_a_system_without_control_groups_limits_nothing(tmp_path: Path) -> None:
    """macOS; and a Linux whose `/proc` is not mounted."""
    assert (cpu_quota(tmp_path), memory_limit_bytes(tmp_path), oom_kills(tmp_path)) == (None, None, None)
