"""Archives to label, and the whole command timed on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from benchmarks.page import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: A photo of 12 megapixels, as cameras and telephones have made them for a decade.
LARGE = (4000, 3000)


class Night(NamedTuple):
    """What a run's report says."""

    images: int
    seconds: float  #: of labelling
    first_label_s: float  #: from the start of the first worker process to the first outcome in the database
    rss_mb: float  #: of the largest worker

    @property
    def speed(self) -> float:
        return self.images / self.seconds


def copy_photos(photos: Path, folder: Path, images: int) -> Path:
    """Fill a folder with so many files, copies of the photos in turn, each with bytes of its own."""
    sources = sorted(photos.glob("*.jpg"))
    for number in range(images):
        copy_distinct(sources[number % len(sources)], _target(folder, number), number)
    return folder


def copy_distinct(photo: Path, target: Path, number: int) -> None:
    """Copy a JPEG with a number behind its end, where decoders do not look: the same bytes would be labelled once."""
    target.write_bytes(photo.read_bytes() + number.to_bytes(4))


def enlarge_photos(photos: Path, folder: Path, images: int, distinct: int = 24) -> Path:
    """Fill a folder with JPEGs of 12 megapixels, made from `distinct` of the photos."""
    sources = sorted(photos.glob("*.jpg"))[:distinct]
    for number in range(images):
        target = _target(folder, number)
        if number < len(sources):
            with Image.open(sources[number]) as photo:
                photo.convert("RGB").resize(LARGE, Image.Resampling.BICUBIC).save(target, quality=90)
        else:
            copy_distinct(_target(folder, number % len(sources)), target, number)
    return folder


def _target(folder: Path, number: int) -> Path:
    target = folder / f"{number // 100:03}" / f"{number:06}.jpg"
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def environment(weights_dir: Path) -> dict[str, str]:
    """Return the same weights for all; and int8 whatever it agrees: on few distinct photos that figure is coarse."""
    lenient = {"NIGHTLABEL_INT8_MIN_AGREEMENT": "0.5", "NIGHTLABEL_CASCADE_MIN_AGREEMENT": "0.5"}
    return os.environ | {"NIGHTLABEL_WEIGHTS_DIR": str(weights_dir)} | lenient


def label(archive: Path, weights_dir: Path, *options: str, settings: Mapping[str, str] | None = None) -> Night:
    """Run the whole command, and take the figures from its own report and tables."""
    with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as folder:
        variables = environment(weights_dir) | {"NIGHTLABEL_DATABASE_URL": f"{folder}/night.db"} | dict(settings or {})
        nightlabel = [sys.executable, "-P", "-m", "nightlabel"]
        checked([*nightlabel, "run", str(archive), *options], variables)
        figures = json.loads(checked([*nightlabel, "report", "--json"], variables))
        first = checked([sys.executable, "-P", "-c", _FIRST_LABEL, f"{folder}/night.db"], variables)
    return Night(
        figures["images"]["ok"],
        figures["throughput"]["labelling_s"],
        float(first),
        max(worker["rss_mb"] for worker in figures["workers"]),
    )


_FIRST_LABEL = """
import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute(
    "select (julianday(min(labelled_at)) - (select julianday(min(started_at)) from workers)) * 86400 from outcomes"
).fetchone()[0])
"""


@contextmanager
def null_worker(variables: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker without a model beside this process, with these environment variables."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.null_worker"],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def checked(command: list[str], variables: Mapping[str, str]) -> str:
    """Return what a command prints; end with its last words if it fails."""
    done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def last_json(output: str) -> dict[str, Any]:
    """Return the JSON object in the last line of what a script printed."""
    found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return found
