"""Where a worker's time goes: py-spy looks at a labelling process 200 times a second, and sees which part it is in."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from benchmarks import runs
from benchmarks.page import Section

#: The part that a stack belongs to: the first of these that names one of its frames, innermost first.
PARTS = {
    "decode": ("pictures/decoding.py", "pictures/jpeg_decoder.py", "simplejpeg"),
    "resize": ("pictures/preprocessing.py",),
    "inference": ("models/engines/",),
    "waiting for a read": ("archive/reading.py",),
    "database": ("storage/", "sqlalchemy", "psycopg"),
    "labels and timings": ("worker/labelling.py", "worker/task.py"),
    "queue": ("celery", "kombu", "billiard", "redis"),
}
REST = "the rest of Python"
LOOKS_A_SECOND = 200
SECONDS = 20


def measure(archive: Path, weights_dir: Path) -> Section:
    """Look at one of two workers while they label the archive, which must take them longer than `SECONDS`."""
    with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as folder:
        variables = runs.environment(weights_dir) | {"NIGHTLABEL_DATABASE_URL": f"{folder}/night.db"}
        run = subprocess.Popen(
            [sys.executable, "-P", "-m", "nightlabel", "run", str(archive), "--workers", "2"],
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            looks = _look(_labelling_process(run.pid), Path(folder) / "stacks")
        finally:
            run.terminate()
            run.wait()
    total = sum(looks.values())
    shares = {part: looks[part] / total for part in (*PARTS, REST)}
    lines = ["| part | share of a worker's time |", "|---|---|"]
    lines += [f"| {part} | {share:.1%} |" for part, share in shares.items()]
    others = 1 - sum(shares[part] for part in ("decode", "resize", "inference"))
    lines.append(f"| **everything but decode, resize and inference** | **{others:.1%}** |")
    return Section(lines, shares)


def _labelling_process(run_pid: int) -> int:
    """Return a process that labels: a child of the worker, which is a child of the run; warm by then."""
    while True:
        for process in psutil.Process(run_pid).children():
            if "worker" in process.cmdline() and process.children():
                time.sleep(4)
                return process.children()[0].pid
        time.sleep(0.1)


def _look(pid: int, stacks: Path) -> Counter[str]:
    spy = Path(sys.executable).with_name("py-spy")
    options = [
        "--rate",
        str(LOOKS_A_SECOND),
        "--duration",
        str(SECONDS),
        "--format",
        "raw",
        "--full-filenames",
        "--idle",
    ]
    done = subprocess.run(
        [spy, "record", "--pid", str(pid), "--output", stacks, *options], capture_output=True, text=True, check=False
    )
    if not stacks.exists():
        sys.exit(f"py-spy cannot look into a process, which takes root or ptrace rights: {done.stderr[-500:]}")
    looks: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if "threading.py" not in stack:  # threads that read ahead, or wait to
            looks[_part(frames)] += int(count)
    return looks


def _part(frames: list[str]) -> str:
    for frame in reversed(frames):
        for part, signs in PARTS.items():
            if any(sign in frame for sign in signs):
                return part
    return REST
