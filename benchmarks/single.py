"""One image at a time, in one process: how long it takes to start, an image takes, and what it holds."""

from __future__ import annotations

import json
import resource
import statistics
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks import runs
from benchmarks.page import Section
from host.machine import available_cpus

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What the field quotes for ResNet-18 on a CPU: an image, loading, peak memory.
QUOTED = {"p50_ms": 38.0, "start_s": 2.1, "peak_mb": 186.0}
IMAGES = 300


def measure(archive: Path, weights_dir: Path, rounds: int, precisions: Sequence[str]) -> Section:
    """Time processes of their own, `rounds` for each precision."""
    runs.label(archive, weights_dir, "--precision", "cascade")  # calibrates it and int8, where that was not done yet
    found = {
        f"{precision}, {threads} thread{'s' if threads > 1 else ''}": [
            runs.last_json(
                runs.checked(
                    [sys.executable, "-m", "benchmarks.single", str(archive), precision, str(threads)],
                    runs.environment(weights_dir),
                )
            )
            for _ in range(rounds)
        ]
        for precision in precisions
        for threads in dict.fromkeys((1, available_cpus()))
    }
    lines = ["| | latency p50 | latency p99 | start to first labels | peak memory |", "|---|---|---|---|---|"]
    for name, times in found.items():
        p50, p99, start, peak = (
            statistics.median(one[name] for one in times) for name in ("p50_ms", "p99_ms", "start_s", "peak_mb")
        )
        lines.append(f"| {name} | {p50:.1f} ms | {p99:.1f} ms | {start:.2f} s | {peak:.0f} MB |")
    lines.append(
        f"| commonly quoted | {QUOTED['p50_ms']:.0f} ms | | {QUOTED['start_s']} s | {QUOTED['peak_mb']:.0f} MB |"
    )
    return Section(lines, found)


def _time(archive: Path, precision: str, threads: int) -> dict[str, float]:
    begun = perf_counter()
    from common.settings import load_settings
    from models.resolve import resolve
    from storage.records import ChunkImage
    from worker.labelling import Labeller

    settings = load_settings(precision=precision, batch_size=1)
    labeller = Labeller(resolve(settings), settings, threads)
    paths = sorted(str(path.resolve()) for path in archive.rglob("*.jpg"))
    images = [ChunkImage(number, paths[number % len(paths)]) for number in range(IMAGES)]
    labeller.label(images[:1], ["/"])
    start_s = perf_counter() - begun
    times = []
    for image in images:
        started = perf_counter()
        (outcome,) = labeller.label([image], ["/"])
        times.append((perf_counter() - started) * 1000)
        if not outcome.ok:
            sys.exit(f"{image.path}: {outcome.error}")
    times.sort()
    return {
        "start_s": start_s,
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[len(times) * 99 // 100],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


if __name__ == "__main__":
    print(json.dumps(_time(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
