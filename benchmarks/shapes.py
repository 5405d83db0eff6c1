"""The whole system on other photos, another disk, and with other sizes of batches and chunks."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks import beside_peers, runs
from benchmarks.beside_peers import compare
from benchmarks.page import ROOT, Section

if TYPE_CHECKING:
    from pathlib import Path

READ_S = 0.020


def measure_large(archive: Path, weights_dir: Path, rounds: int) -> Section:
    """Compare on photos of 12 megapixels."""
    contenders = [
        beside_peers.system(weights_dir, beside_peers.usual_precision(weights_dir), 2),
        beside_peers.system(weights_dir, "cascade", 2),
        beside_peers.system(weights_dir, "int8", 2),
        beside_peers.simple_celery(weights_dir),
    ]
    return compare(contenders, archive, rounds)


def measure_settings(archive: Path, weights_dir: Path, rounds: int) -> Section:
    """Compare sizes of batches and chunks, and a disk that takes 20 ms per file, with the defaults."""
    slow = {"PYTHONPATH": str(ROOT / "benchmarks" / "slow_disk"), "SLOW_DISK_S": str(READ_S)}
    variants: dict[str, dict[str, str]] = {"the defaults: batches of 8, chunks of 64": {}}
    variants |= {f"batches of {size}": {"NIGHTLABEL_BATCH_SIZE": str(size)} for size in (1, 16, 32)}
    variants |= {f"chunks of {size}": {"NIGHTLABEL_CHUNK_SIZE": str(size)} for size in (1, 8)}
    variants[f"a disk that takes {READ_S * 1000:.0f} ms per file"] = slow
    nights: dict[str, list[runs.Night]] = {name: [] for name in variants}
    for number in range(rounds):
        for name, settings in variants.items():
            nights[name].append(runs.label(archive, weights_dir, "--workers", "2", settings=settings))
            print(f"round {number + 1}: {name}: {nights[name][-1].speed:.1f} images/s", flush=True)
    lines = ["| 2 workers with | images/s | relative to the defaults | MB per worker | start to first label, s |"]
    lines.append("|---|---|---|---|---|")
    usual = statistics.median(night.speed for night in next(iter(nights.values())))
    for name, found in nights.items():
        speed, first, rss = (
            statistics.median(getattr(night, part) for night in found) for part in ("speed", "first_label_s", "rss_mb")
        )
        lines.append(f"| {name} | {speed:.1f} | {speed / usual:.2f} | {rss:.0f} | {first:.2f} |")
    return Section(lines, {name: [night._asdict() for night in found] for name, found in nights.items()})
