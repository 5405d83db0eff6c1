"""How often each precision gives the same best label as torchvision's own transforms and torch in fp32."""

from __future__ import annotations

import csv
import random
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.page import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from common.settings import Settings
    from models.ready_model import ReadyModel

MODELS = ("resnet18", "mobilenet_v2")
#: int8 and the cascade are calibrated on one half of the photos and measured on the other, and the other way round, so
#: many times.
SPLITS = 2
#: Shares of the images, those with the smallest margin, that the full model answers.
SHARES = (0.05, 0.10, 0.15, 0.20)


class _Answers(NamedTuple):
    best: NDArray[np.int64]  #: class of each photo
    score: NDArray[np.float64]  #: its probability
    margin: NDArray[np.float64]  #: logarithm of that over the second best one's
    by_full: NDArray[np.bool_]  #: of a cascade: that its full model answered


class _Fold(NamedTuple):
    """Photos that had no part in calibrating, and what is said of them."""

    others: NDArray[np.int64]
    int8: _Answers
    cascade: _Answers
    quick: _Answers  #: the cascade's int8 alone


def measure(photos: Path, weights_dir: Path, precisions: Sequence[str]) -> Section:
    """Label the photos by each precision, and as torchvision's documentation does.

    Args:
        photos: with `truth.csv`.
        weights_dir: of the models.
        precisions: that this machine has and that need no calibrating.

    """
    with (photos / "truth.csv").open() as file:
        truth = {row["file"]: int(row["class_index"]) for row in csv.DictReader(file)}
    paths = sorted(str((photos / name).resolve()) for name in truth)
    right = np.array([truth[Path(path).name] for path in paths])
    lines = [
        "| | same best label | of those that fp32 is ≥ 50 % sure of | top-1 accuracy | measured on |",
        "|---|---|---|---|---|",
    ]
    figures: dict[str, Any] = {}
    for model in MODELS:
        expected = _by_torchvision(model, paths, weights_dir)
        lines.append(
            f"| {model}, torchvision and torch, fp32 | – | – | {np.mean(expected == right):.1%} | {len(paths)} |"
        )
        every = np.arange(len(paths))
        exact = _answers(paths, _settings(model, precisions[0], weights_dir))
        found = {one: [(every, _answers(paths, _settings(model, one, weights_dir)))] for one in precisions}
        folds = _folds(model, paths, weights_dir)
        found |= {name: [(fold.others, getattr(fold, name)) for fold in folds] for name in ("int8", "cascade")}
        for name, parts in found.items():
            which = np.concatenate([numbers for numbers, _ in parts])
            best = np.concatenate([answers.best for _, answers in parts])
            same, sure = best == expected[which], exact.score[which] >= 0.5
            where = (
                f"{len(paths)} photos" if len(parts) == 1 else f"the half it was not calibrated on, {len(parts)} times"
            )
            figures[f"{model}, {name}"] = {"same": float(same.mean()), "sure": float(same[sure].mean())}
            lines.append(
                f"| {model}, {name} | {same.mean():.1%} | {same[sure].mean():.1%} | {np.mean(best == right[which]):.1%}"
                f" | {where} |"
            )
        figures[f"{model}, trade-off"] = traded = _trade_off(folds, exact)
        by_full = np.mean([fold.cascade.by_full.mean() for fold in folds])
        lines.append(
            f"| {model}: int8 of the cascade, and the full model for the "
            + ", ".join(f"{share:.0%}" for share in SHARES)
            + " with the smallest margin | "
            + ", ".join(f"{same:.1%}" for same in traded)
            + f" | | | as set, the full model answers {by_full:.0%} |"
        )
    return Section(lines, figures)


def _trade_off(folds: Sequence[_Fold], exact: _Answers) -> list[float]:
    """Return how often the best label is that of fp32, for each share that the full model answers."""
    found = []
    for share in SHARES:
        same = []
        for fold in folds:
            asked = np.argsort(fold.quick.margin)[: round(share * len(fold.others))]
            agrees = fold.quick.best == exact.best[fold.others]
            agrees[asked] = True
            same.append(agrees)
        found.append(float(np.concatenate(same).mean()))
    return found


def _by_torchvision(name: str, paths: Sequence[str], weights_dir: Path) -> NDArray[np.int64]:
    import torch
    from PIL import Image
    from torchvision.models import get_model, get_model_weights

    model = get_model(name)
    model.load_state_dict(torch.load(weights_dir / f"{name}.pth", weights_only=True))
    model.eval()
    transforms = get_model_weights(name)["IMAGENET1K_V1"].transforms()
    best = []
    with torch.inference_mode():
        for path in paths:
            with Image.open(path) as photo:
                best.append(int(model(transforms(photo.convert("RGB")).unsqueeze(0)).argmax()))
    return np.array(best)


def _settings(model: str, precision: str, weights_dir: Path, **others: Any) -> Settings:
    from common.settings import load_settings

    lenient = {"int8_min_agreement": 0.0, "cascade_min_agreement": 0.0}
    return load_settings(model=model, precision=precision, weights_dir=weights_dir, **lenient, **others)


def _answers(paths: Sequence[str], settings: Settings, ready: ReadyModel | None = None) -> _Answers:
    from models.resolve import resolve
    from storage.records import ChunkImage
    from worker.labelling import Labeller

    ready = ready or resolve(settings)
    index = {category: number for number, category in enumerate(ready.categories)}
    labeller = Labeller(ready, settings)
    outcomes = labeller.label([ChunkImage(number, path) for number, path in enumerate(paths)], ["/"])
    outcomes.sort(key=lambda outcome: outcome.image_id)
    first, second = (np.array([outcome.labels[rank][1] for outcome in outcomes]) for rank in (0, 1))
    return _Answers(
        best=np.array([index[outcome.labels[0][0]] for outcome in outcomes]),
        score=first,
        margin=np.log(first / np.maximum(second, np.finfo(np.float64).tiny)),
        by_full=np.array([outcome.computed_in not in (None, "int8") for outcome in outcomes]),
    )


def _folds(model: str, paths: Sequence[str], weights_dir: Path) -> list[_Fold]:
    from models.resolve import calibrate_for, resolve
    from runner.calibration import read_views

    found = []
    for split in range(SPLITS):
        order = list(range(len(paths)))
        random.Random(split).shuffle(order)  # noqa: S311 - a sample, not a secret
        for turned in (order, order[::-1]):
            with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as folder:
                int8, cascade = (
                    _settings(model, precision, weights_dir, cache_dir=Path(folder))
                    for precision in ("int8", "cascade")
                )
                drawn = [paths[number] for number in turned]
                made = calibrate_for(int8, partial(read_views, drawn, int8))  # and the cascade with it
                others = turned[made.quality.calibrated_on :]
                its = [paths[number] for number in others]
                ready = resolve(cascade)
                assert ready.cascade
                found.append(
                    _Fold(
                        np.array(others),
                        _answers(its, int8),
                        _answers(its, cascade, ready),
                        _answers(its, cascade, ready.cascade.quick),
                    )
                )
    return found
