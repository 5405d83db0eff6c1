"""How often each precision gives the same best label as torchvision's own transforms and torch in fp32."""

from __future__ import annotations

import csv
import random
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.page import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from common.settings import Settings

#: int8 is calibrated on one half of the photos and measured on the other, and the other way round, so many times.
SPLITS = 3


def measure(photos: Path, weights_dir: Path, precisions: Sequence[str]) -> Section:
    """Label the photos by each precision, and as torchvision's documentation does."""
    from common.settings import load_settings

    with (photos / "truth.csv").open() as file:
        truth = {row["file"]: int(row["class_index"]) for row in csv.DictReader(file)}
    paths = sorted(str((photos / name).resolve()) for name in truth)
    expected = _by_torchvision(paths, weights_dir)
    right = np.array([truth[Path(path).name] for path in paths])
    lines = ["| | same best label | top-1 accuracy | measured on |", "|---|---|---|---|"]
    lines.append(f"| torchvision and torch, fp32 | – | {np.mean(expected == right):.1%} | {len(paths)} photos |")
    figures = {}
    for precision in precisions:
        settings = load_settings(precision=precision, weights_dir=weights_dir)
        folds = _by_int8(paths, settings) if precision == "int8" else [(range(len(paths)), _best(paths, settings))]
        same = np.concatenate([found == expected[list(which)] for which, found in folds])
        true = np.concatenate([found == right[list(which)] for which, found in folds])
        figures[precision] = float(same.mean())
        where = (
            f"{len(paths)} photos" if precision != "int8" else f"the half it was not calibrated on, {len(folds)} times"
        )
        lines.append(f"| nightlabel, {precision} | {same.mean():.1%} | {true.mean():.1%} | {where} |")
    return Section(lines, figures)


def _by_torchvision(paths: Sequence[str], weights_dir: Path) -> NDArray[np.int64]:
    import torch
    from PIL import Image
    from torchvision.models import ResNet18_Weights, resnet18

    model = resnet18()
    model.load_state_dict(torch.load(weights_dir / "resnet18.pth", weights_only=True))
    model.eval()
    transforms = ResNet18_Weights.IMAGENET1K_V1.transforms()
    best = []
    with torch.inference_mode():
        for path in paths:
            with Image.open(path) as photo:
                best.append(int(model(transforms(photo.convert("RGB")).unsqueeze(0)).argmax()))
    return np.array(best)


def _best(paths: Sequence[str], settings: Settings) -> NDArray[np.int64]:
    from models.resolve import resolve
    from storage.records import ChunkImage
    from worker.labelling import Labeller

    ready = resolve(settings)
    index = {category: number for number, category in enumerate(ready.categories)}
    labeller = Labeller(ready, settings)
    outcomes = labeller.label([ChunkImage(number, path) for number, path in enumerate(paths)], ["/"])
    outcomes.sort(key=lambda outcome: outcome.image_id)
    return np.array([index[outcome.labels[0][0]] for outcome in outcomes])


def _by_int8(paths: Sequence[str], settings: Settings) -> list[tuple[list[int], NDArray[np.int64]]]:
    """Return, for each half that was measured, which photos those were and their best labels."""
    from models.resolve import quantise_for
    from runner.calibration import read_views

    found = []
    for split in range(SPLITS):
        order = list(range(len(paths)))
        random.Random(split).shuffle(order)  # noqa: S311 - a sample, not a secret
        for turned in (order, order[::-1]):
            with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as folder:
                own = settings.model_copy(update={"cache_dir": Path(folder), "int8_min_agreement": 0.0})
                quantised = quantise_for(own, partial(read_views, [paths[number] for number in turned], own))
                others = turned[quantised.calibrated_on :]
                found.append((others, _best([paths[number] for number in others], own)))
    return found
