"""`make bench`: time the whole system beside its peers, in one run, interleaved, and write docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "benchmarks" / "peers"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Something that labels a folder of images."""

    name: str
    label: Callable[[Path], tuple[int, float]]  #: folder to images and seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared" / "images")
    parser.add_argument("--weights", type=Path, default=os.environ.get("NIGHTLABEL_WEIGHTS_DIR"))
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as folder:
        archive = _archive(arguments.photos, Path(folder) / "archive", arguments.images)
        contenders = _contenders(arguments.weights / "resnet18.pth", arguments.weights)
        speeds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        for number in range(arguments.rounds):
            for contender in contenders:
                images, seconds = contender.label(archive)
                speeds[contender.name].append(images / seconds)
                print(f"round {number + 1}: {contender.name}: {images / seconds:.1f} images/s", flush=True)
    _write(speeds, arguments.images, arguments.rounds)


def _archive(photos: Path, folder: Path, images: int) -> Path:
    sources = sorted(photos.glob("*.jpg"))
    for number in range(images):
        target = folder / f"{number // 100:03}" / f"{number:06}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sources[number % len(sources)], target)
    return folder


def _contenders(weights: Path, weights_dir: Path) -> list[Contender]:
    def peer(script: str, *arguments: str) -> Callable[[Path], tuple[int, float]]:
        def label(archive: Path) -> tuple[int, float]:
            command = [PEERS_PYTHON, PEERS / script, archive, *arguments]
            return _timed(command, _environment(weights_dir) | {"PYTHONPATH": str(ROOT)})

        return label

    def system(*options: str) -> Callable[[Path], tuple[int, float]]:
        return lambda archive: _system(archive, weights_dir, *options)

    return [
        Contender(name="nightlabel, bf16, 2 workers", label=system("--precision", "bf16", "--workers", "2")),
        Contender(name="limit loop, bf16, 2 processes", label=peer("limit_loop.py", "bf16")),
        Contender(name="nightlabel, int8, 2 workers", label=system("--precision", "int8", "--workers", "2")),
        Contender(name="limit loop, int8, 2 processes", label=peer("limit_loop.py", "int8")),
        Contender(name="nightlabel, bf16, 1 worker", label=system("--precision", "bf16", "--workers", "1")),
        Contender(name="an evening's Celery", label=peer("evening_celery.py", str(weights))),
        Contender(name="timm's recipe, fp32", label=peer("timm_recipe.py", str(weights), "fp32")),
        Contender(name="timm's recipe, bf16", label=peer("timm_recipe.py", str(weights), "bf16")),
        Contender(name="Ray Data's recipe, fp32", label=peer("ray_recipe.py", str(weights))),
    ]


def _timed(command: list[object], environment: dict[str, str]) -> tuple[int, float]:
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[1]} failed:\n{done.stderr[-3000:]}")
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return answer["images"], answer["seconds"]


def _environment(weights_dir: Path) -> dict[str, str]:
    """Return the same weights for all; and int8 whatever it agrees: on few distinct photos that figure is coarse."""
    return os.environ | {"NIGHTLABEL_WEIGHTS_DIR": str(weights_dir), "NIGHTLABEL_INT8_MIN_AGREEMENT": "0.9"}


def _system(archive: Path, weights_dir: Path, *options: str) -> tuple[int, float]:
    """Run the whole command, and take the time of its labelling from its own report."""
    with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as folder:
        environment = _environment(weights_dir) | {"NIGHTLABEL_DATABASE_URL": f"{folder}/night.db"}
        nightlabel = [sys.executable, "-P", "-m", "nightlabel"]
        subprocess.run([*nightlabel, "run", archive, *options], env=environment, capture_output=True, check=True)
        report = subprocess.run(
            [*nightlabel, "report", "--json"], env=environment, capture_output=True, text=True, check=True
        )
    figures = json.loads(report.stdout)
    return figures["images"]["ok"], figures["throughput"]["labelling_s"]


def _write(speeds: dict[str, list[float]], images: int, rounds: int) -> None:
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    circumstances = (
        f"{datetime.now(UTC):%Y-%m-%d}; {_machine()}; {images} ImageNet photos (108 KB on average), trained ResNet-18;"
        f" median of {rounds} rounds, interleaved."
    )
    lines = [
        circumstances,
        "",
        "| what | images/s | lowest – highest |",
        "|---|---|---|",
        *(
            f"| {name} | {medians[name]:.1f} | {min(values):.1f} – {max(values):.1f} |"
            for name, values in speeds.items()
        ),
    ]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
    document = {"machine": _machine(), "images": images, "images_per_second": speeds}
    (ROOT / "benchmarks" / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    print(table)


def _machine() -> str:
    cpu = Path("/proc/cpuinfo").read_text()
    name = next((line.partition(":")[2].strip() for line in cpu.splitlines() if "model name" in line), "CPU")
    kinds = [kind for kind in ("amx_bf16", "avx512_bf16", "avx512_vnni") if kind in cpu]
    return f"{os.cpu_count()} cores of {name} ({', '.join(kinds) or 'neither bf16 nor VNNI'})"


if __name__ == "__main__":
    main()
