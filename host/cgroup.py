"""What a container may use: the quotas of the control group that this process is in, of Linux's version 1 or 2.

Each function reads below a root folder, which is `/` but for tests. Where nothing is said, nothing is limited.
Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, and cgroup-v1/memory.html beside it; proc_pid_mountinfo(5).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Version 1 has no word for «no limit»: it says the largest multiple of a page. No machine has as much.
_NO_MEMORY_LIMIT = 2**60
#: Fields of a line of `mountinfo`; those behind the dash come after any number of optional ones.
_MOUNT = re.compile(r"\S+ \S+ \S+ (?P<root>\S+) (?P<at>\S+) .*? - (?P<kind>cgroup2?) \S+ (?P<options>\S+)")


class _Group(NamedTuple):
    """A control group that limits this process, and the version of its files."""

    folder: Path
    version: int


def cpu_quota(root: Path) -> float | None:
    """Return how many CPUs the groups of this process may keep busy; None: any number."""
    quotas = []
    for group in _groups(root, "cpu"):
        if group.version == 2:  # noqa: PLR2004 - `cpu.max` is `200000 100000`, or `max 100000`
            quota, _, period = _text(group.folder / "cpu.max").partition(" ")
        else:
            quota, period = _text(group.folder / "cpu.cfs_quota_us"), _text(group.folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(period):  # -1, in version 1: none
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_limit_bytes(root: Path) -> int | None:
    """Return how much memory the groups of this process may hold; None: any amount."""
    names = {1: ("memory.limit_in_bytes",), 2: ("memory.max", "memory.high")}
    said = [_text(group.folder / name) for group in _groups(root, "memory") for name in names[group.version]]
    limits = [int(limit) for limit in said if limit.isdecimal()]
    return min((limit for limit in limits if limit < _NO_MEMORY_LIMIT), default=None)


def oom_kills(root: Path) -> int | None:
    """Return how many processes of this one's own group the kernel has killed for lack of memory; None: not said."""
    for group in _groups(root, "memory"):
        name = "memory.events" if group.version == 2 else "memory.oom_control"  # noqa: PLR2004
        if found := re.search(r"^oom_kill (\d+)$", _text(group.folder / name), re.MULTILINE):
            return int(found[1])
    return None


def _groups(root: Path, controller: str) -> Iterator[_Group]:
    """Yield the group of this process that a controller knows, and those that it lies in, the innermost first."""
    paths: dict[str, str] = {}  # version 2's line is `0::/path`, version 1's `4:cpu,cpuacct:/path`
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, place = line.split(":", 2)
        paths |= dict.fromkeys(controllers.split(","), place)
    for mount, inside, version, mounted in _mounts(root):
        path = paths.get(controller if version == 1 else "")
        if path is None or (version == 1 and controller not in mounted):
            continue
        # A container may see no more of the tree than its own group, under whatever path it has outside.
        within = path.removeprefix(inside).strip("/") if path.startswith(inside) else ""
        folder = mount / within if ".." not in within and (mount / within).is_dir() else mount
        while True:
            yield _Group(folder, version)
            if folder == mount:
                break
            folder = folder.parent


def _mounts(root: Path) -> Iterator[tuple[Path, str, int, list[str]]]:
    """Yield where each tree of groups is mounted, which group its top is, its version and its controllers."""
    for found in map(_MOUNT.match, _text(root / "proc/self/mountinfo").splitlines()):
        if found:
            inside, at = (_unescaped(found[name]) for name in ("root", "at"))
            version = 2 if found["kind"] == "cgroup2" else 1
            yield root / at.lstrip("/"), inside, version, found["options"].split(",")


def _unescaped(field: str) -> str:
    """Return a field of `mountinfo` with its blanks, which it writes as a backslash and 040."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), field)


def _text(file: Path) -> str:
    """Return what a file says, without the space around it; nothing where there is no such file."""
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
