"""A real control group with a quota, as a container has; version 1 or 2, whichever can be made here."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_TREE = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


class Group(NamedTuple):
    """A group in one tree, or in one for each controller."""

    folders: tuple[Path, ...]

    def add(self, pid: int) -> None:
        """Put a process in, and with it all that it starts from now on."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def most_held_bytes(self) -> int:
        """Return the most memory that the group held, the system's copies of files included."""
        names = ("memory.peak", "memory.max_usage_in_bytes")
        return next(int(file.read_text()) for file in self._files(names))

    def oom_kills(self) -> int:
        lines = next(self._files(("memory.events", "memory.oom_control"))).read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("oom_kill ")))

    def _files(self, names: tuple[str, ...]) -> Iterator[Path]:
        yield from (folder / name for folder in self.folders for name in names if (folder / name).is_file())


@contextmanager
def limited(cpus: float, memory_bytes: int) -> Iterator[Group | None]:
    """Yield a group with these limits; None where none can be made, for lack of rights or of the tree."""
    name = f"nightlabel-test-{os.getpid()}"
    quota = int(cpus * _PERIOD_US)
    version_1 = {
        _TREE / "cpu" / name: {"cpu.cfs_period_us": _PERIOD_US, "cpu.cfs_quota_us": quota},
        _TREE / "memory" / name: {"memory.limit_in_bytes": memory_bytes},
    }
    version_2 = {_TREE / name: {"cpu.max": f"{quota} {_PERIOD_US}", "memory.max": memory_bytes}}
    limits = version_2 if (_TREE / "cgroup.controllers").is_file() else version_1
    made: list[Path] = []
    try:
        for folder, files in limits.items():
            folder.mkdir()
            made.append(folder)
            for file, value in files.items():
                (folder / file).write_text(str(value))
    except OSError:
        _remove(made)
        yield None
        return
    try:
        yield Group(tuple(made))
    finally:
        _remove(made)


def _remove(folders: list[Path]) -> None:
    """Remove the groups once the last of their processes is gone."""
    for folder in folders:
        for _ in range(100):
            try:
                folder.rmdir()
                break
            except OSError:
                time.sleep(0.1)
