"""An hour of labelling: does memory grow, does it slow down, does anything fall silent? And one of single requests."""

from __future__ import annotations

import json
import math
import sqlite3
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from benchmarks import runs
from benchmarks.page import ROOT, Section
from report.robust import WARM_UP, slope

SAMPLE_EVERY_S = 5.0
REQUEST_EVERY_S = 2.0
#: Images that two cores label in a second at the very most.
MOST_A_SECOND = 400
#: Parts of the time after it that are held against each other.
PARTS = 6


class Sample(NamedTuple):
    """A process's memory at a time."""

    at_s: float
    process: str
    pid: int
    rss_mb: float


def steady(photos: Path, weights_dir: Path, minutes: float) -> Section:
    """Label with two workers for so many minutes, on an archive that does not end before."""
    with tempfile.TemporaryDirectory(prefix="nightlabel-soak-") as folder:
        archive = _link_photos(photos, Path(folder) / "archive", int(MOST_A_SECOND * minutes * 60))
        variables = runs.environment(weights_dir) | {"NIGHTLABEL_DATABASE_URL": f"{folder}/night.db"}
        command = [sys.executable, "-P", "-m", "benchmarks.compute_all", str(archive), "2"]
        with subprocess.Popen(command, env=variables, cwd=ROOT, stdout=subprocess.DEVNULL) as run:
            samples = _watch(psutil.Process(run.pid), minutes * 60)
            run.terminate()  # as Ctrl-C, which jobs in the background do not heed
        with sqlite3.connect(f"{folder}/night.db") as connection:
            images = connection.execute(
                "select (julianday(labelled_at) - 2440587.5) * 86400, coalesce(total_ms, 0), status, worker"
                " from outcomes"
            ).fetchall()
    return _steady_table(samples, images)


def requests(photos: Path, weights_dir: Path, minutes: float) -> Section:
    """Label one image every two seconds in a process of its own, as comparisons of models do."""
    command = [sys.executable, "-m", "benchmarks.soak", str(photos), str(minutes)]
    found = runs.last_json(runs.checked(command, runs.environment(weights_dir)))
    rss = np.array(found["rss_mb"])
    parts = [np.array(part) for part in np.array_split(np.array(found["ms"]), PARTS)]
    percentiles = {f"p{share}": [float(np.percentile(part, share)) for part in parts] for share in (50, 99)}
    rise = _mb_an_hour(np.arange(len(rss)) * REQUEST_EVERY_S, rss)
    lines = [
        f"{len(rss):,} requests in {minutes:.0f} minutes, {found['failed']} failed.",
        f"Memory {rss[0]:.1f} MB after the first, {rss[-1]:.1f} MB after the last, {rise:+.2f} MB/h.",
        "",
        *_by_part(
            "ms per request",
            {name: [f"{value:.1f}" for value in values] for name, values in percentiles.items()},
        ),
    ]
    figures = {"requests": len(rss), "failed": found["failed"], "mb_an_hour": rise, "ms_by_part": percentiles}
    return Section(lines, figures)


def _mb_an_hour(at_s: Any, rss_mb: Any) -> float:
    rise = slope(at_s, rss_mb)
    return rise.per_hour if rise else math.nan


def _steady_table(samples: list[Sample], images: list[tuple[float, float, str, str]]) -> Section:
    lines = ["| process | processes | MB after the warm-up | MB at the end | MB/h |", "|---|---|---|---|---|"]
    figures: dict[str, Any] = {}
    for name in dict.fromkeys(sample.process for sample in samples):
        own = [sample for sample in samples if sample.process == name]
        rise = _mb_an_hour([sample.at_s for sample in own], [sample.rss_mb for sample in own])
        early, late, pids = own[int(len(own) * WARM_UP)].rss_mb, own[-1].rss_mb, len({sample.pid for sample in own})
        figures[name] = {"processes": pids, "early_mb": early, "late_mb": late, "mb_an_hour": rise}
        lines.append(f"| {name} | {pids} | {early:.1f} | {late:.1f} | {rise:+.2f} |")
    at_s, total_ms = np.array([one[0] for one in images]), np.array([one[1] for one in images])
    edges = np.linspace(at_s.min() + WARM_UP * np.ptp(at_s), at_s.max(), PARTS + 1)
    parts = [(at_s >= begin) & (at_s <= end) for begin, end in pairwise(edges)]
    speeds = [float(part.sum() / (edges[1] - edges[0])) for part in parts]
    p99 = [float(np.percentile(total_ms[part], 99)) for part in parts]
    silences = {worker: _longest_silence(images, worker) for worker in sorted({one[3] for one in images})}
    figures |= {"images_per_second": speeds, "p99_ms": p99, "longest_silence_s": silences}
    lines += [
        "",
        *_by_part(
            "",
            {
                "images/s": [f"{speed:.1f}" for speed in speeds],
                "p99 latency, ms": [f"{value:.0f}" for value in p99],
            },
        ),
        "",
        f"{len(images):,} images, {sum(one[2] != 'ok' for one in images)} failed.",
        f"From the first part to the last the speed changed by {speeds[-1] / speeds[0] - 1:+.1%}.",
        f"The longest gap between two outcomes of a worker was {max(silences.values()):.1f} s.",
    ]
    return Section(lines, figures)


def _by_part(heading: str, rows: dict[str, list[str]]) -> list[str]:
    """Return a table with a column for each part of the time."""
    parts = [f"part {number + 1}" for number in range(PARTS)]
    cells = [[heading, *parts], ["---"] * (PARTS + 1), *([name, *values] for name, values in rows.items())]
    return [f"| {' | '.join(row)} |" for row in cells]


def _longest_silence(images: list[tuple[float, float, str, str]], worker: str) -> float:
    times = np.sort([one[0] for one in images if one[3] == worker])
    return float(np.diff(times).max())


def _link_photos(photos: Path, folder: Path, count: int) -> Path:
    """Fill a folder with hard links, a thousand to a subfolder: they cost no room, and each is a file of its own."""
    copied = runs.copy_photos(photos, folder.with_name("photos"), len(list(photos.glob("*.jpg"))))
    sources = sorted(copied.rglob("*.jpg"))
    for number in range(count):
        inner = folder / f"{number // 1000:05}"
        if number % 1000 == 0:
            inner.mkdir(parents=True)
        (inner / f"{number:08}.jpg").hardlink_to(sources[number % len(sources)])
    return folder


def _watch(run: psutil.Process, seconds: float) -> list[Sample]:
    samples = []
    begun = time.monotonic()
    while (at_s := time.monotonic() - begun) < seconds:
        for process in [run, *run.children(recursive=True)]:
            try:
                samples.append(Sample(at_s, _role(run, process), process.pid, process.memory_info().rss / 1e6))
            except psutil.NoSuchProcess:
                continue
        time.sleep(SAMPLE_EVERY_S)
    return samples


def _role(run: psutil.Process, process: psutil.Process) -> str:
    if process == run:
        return "producer"
    if "redis-server" in process.name():
        return "Redis"
    return "worker, main" if process.ppid() == run.pid else f"worker, labelling {process.pid}"


def _request(photos: Path, minutes: float) -> dict[str, Any]:
    from common.settings import load_settings
    from models.resolve import resolve
    from storage.records import ChunkImage
    from worker.labelling import Labeller
    from worker.single_thread import use_single_thread

    use_single_thread()  # as a worker does
    settings = load_settings(batch_size=1)
    labeller = Labeller(resolve(settings), settings)
    paths = sorted(str(path.resolve()) for path in photos.rglob("*.jpg"))
    process = psutil.Process()
    times, memory, failed = [], [], 0
    begun = time.monotonic()
    for number in range(int(minutes * 60 / REQUEST_EVERY_S)):
        time.sleep(max(0.0, begun + number * REQUEST_EVERY_S - time.monotonic()))
        started = time.perf_counter()
        (outcome,) = labeller.label([ChunkImage(number, paths[number % len(paths)])], ["/"])
        times.append((time.perf_counter() - started) * 1000)
        memory.append(process.memory_info().rss / 1e6)
        failed += not outcome.ok
    return {"ms": times, "rss_mb": memory, "failed": failed}


if __name__ == "__main__":
    print(json.dumps(_request(Path(sys.argv[1]), float(sys.argv[2]))))
