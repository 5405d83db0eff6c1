"""How fast a producer is: with images that are new, and over again with images that have their labels."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import runs
from benchmarks.page import Section
from broker.private_redis import PrivateRedis

if TYPE_CHECKING:
    from collections.abc import Mapping


def measure(weights_dir: Path, files: int, database_url: str | None) -> Section:
    """Enqueue an archive of empty files; have a worker without a model finish them; and enqueue it again."""
    with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as name, PrivateRedis(Path(name)) as redis:
        folder = Path(name)
        archive = _touch(folder / "archive", files)
        variables = runs.environment(weights_dir) | {
            "NIGHTLABEL_BROKER_URL": redis.url,
            "NIGHTLABEL_DATABASE_URL": database_url or f"{folder}/night.db",
            "NIGHTLABEL_QUEUE_LIMIT": str(files),  # nobody takes anything meanwhile
        }
        (archive / "one").mkdir()
        _touch(archive / "one", 1)
        start_s = _enqueue(archive / "one", variables)
        new_s = _enqueue(archive, variables) - start_s
        with runs.null_worker(variables):
            _enqueue(archive, variables, "--wait")
        again_s = _enqueue(archive, variables) - start_s
    lines = ["| | seconds | images/s |", "|---|---|---|"]
    lines.append(f"| {files:,} new images: scan, manifest, queue | {new_s:.1f} | {files / new_s:,.0f} |")
    lines.append(f"| the same again, once they have labels | {again_s:.1f} | {files / again_s:,.0f} |")
    lines.append(f"| start-up and shutdown of `nightlabel enqueue`, not included above | {start_s:.1f} | |")
    return Section(lines, {"files": files, "start_s": start_s, "new_s": new_s, "again_s": again_s})


def _touch(folder: Path, files: int) -> Path:
    """Make so many empty files, a thousand in a folder: a producer looks at names, sizes and times."""
    for number in range(files):
        if number % 1000 == 0:
            (folder / f"{number // 1000:05}").mkdir(parents=True)
        (folder / f"{number // 1000:05}" / f"IMG_{number:08}.jpg").touch()
    return folder


def _enqueue(archive: Path, variables: Mapping[str, str], *options: str) -> float:
    begun = time.monotonic()
    runs.checked([sys.executable, "-P", "-m", "nightlabel", "enqueue", str(archive), *options], variables)
    return time.monotonic() - begun
