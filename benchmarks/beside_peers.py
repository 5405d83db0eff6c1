"""The whole system beside what a user would pick instead, and beside the limit of the machine."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import runs
from benchmarks.page import ROOT, Section
from common.settings import load_settings
from models.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PEERS = ROOT / "benchmarks" / "peers"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"


class Contender(NamedTuple):
    """Something that labels a folder of images."""

    name: str
    label: Callable[[Path], float]  #: folder to images a second


def measure(archive: Path, weights_dir: Path, rounds: int) -> Section:
    """Time all contenders on the archive, one after the other, `rounds` times over."""
    usual = usual_precision(weights_dir)
    contenders = [
        system(weights_dir, usual, 2),
        _peer(weights_dir, f"limit loop, {usual}, 2 processes", "limit_loop.py", usual),
        system(weights_dir, "cascade", 2),
        _peer(weights_dir, "limit loop, cascade, 2 processes", "limit_loop.py", "cascade"),
        system(weights_dir, "int8", 2),
        _peer(weights_dir, "limit loop, int8, 2 processes", "limit_loop.py", "int8"),
        system(weights_dir, usual, 1),
        simple_celery(weights_dir),
        _peer(weights_dir, "timm's recipe, fp32", "timm_recipe.py", _weights(weights_dir), "fp32"),
        _peer(weights_dir, "timm's recipe, bf16", "timm_recipe.py", _weights(weights_dir), "bf16"),
        _peer(weights_dir, "Ray Data's recipe, fp32", "ray_recipe.py", _weights(weights_dir)),
    ]
    return compare(contenders, archive, rounds)


def usual_precision(weights_dir: Path) -> str:
    """Return what `--precision auto` chooses here."""
    return resolve(load_settings(weights_dir=weights_dir)).model.precision


def compare(contenders: list[Contender], archive: Path, rounds: int) -> Section:
    """Return the medians of interleaved rounds, each also as a multiple of the first contender's."""
    speeds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            speeds[contender.name].append(contender.label(archive))
            print(f"round {number + 1}: {contender.name}: {speeds[contender.name][-1]:.1f} images/s", flush=True)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    first = medians[contenders[0].name]
    lines = ["| what | images/s | lowest – highest | speed-up of the first row |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {medians[name]:.1f} | {min(values):.1f} – {max(values):.1f} | {first / medians[name]:.2f} |"
        for name, values in speeds.items()
    ]
    return Section(lines, {"images_per_second": speeds})


def simple_celery(weights_dir: Path) -> Contender:
    """Return a Celery script as one writes it in an evening."""
    return _peer(weights_dir, "a simple Celery script, fp32", "simple_celery.py", _weights(weights_dir))


def system(weights_dir: Path, precision: str, workers: int) -> Contender:
    """Return the whole command."""
    name = f"nightlabel, {precision}, {workers} worker{'s' if workers > 1 else ''}"
    options = ("--precision", precision, "--workers", str(workers))
    return Contender(name, lambda archive: runs.label(archive, weights_dir, *options).speed)


def _peer(weights_dir: Path, name: str, script: str, *arguments: str) -> Contender:
    def label(archive: Path) -> float:
        command = [str(PEERS_PYTHON), str(PEERS / script), str(archive), *arguments]
        answer = runs.last_json(runs.checked(command, runs.environment(weights_dir) | {"PYTHONPATH": str(ROOT)}))
        return float(answer["images"] / answer["seconds"])

    return Contender(name, label)


def _weights(weights_dir: Path) -> str:
    return str(weights_dir / "resnet18.pth")
