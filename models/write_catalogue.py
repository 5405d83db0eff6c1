"""Write the catalogue from torchvision's metadata, in a process of its own: `python -P -m models.write_catalogue`."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.catalogue import catalogue_document, catalogue_path
from models.subprocess_steps import main

if TYPE_CHECKING:
    from collections.abc import Mapping


def _step(cache_dir: str) -> None:
    path = catalogue_path(Path(cache_dir))
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}")  # two may start at once: the last one's file stays
    scratch.write_text(catalogue_document(_content()))
    scratch.replace(path)


def _content() -> dict[str, Any]:
    """Return all models with all their recipes; labels, which many share, once, under their digest."""
    import torchvision  # torch's threads are counted before it is imported
    from torchvision.models import get_model_weights, list_models

    entries = []
    categories: dict[str, list[str]] = {}
    for architecture in list_models(module=torchvision.models):
        # Weights without categories (VGG's features) do not classify. torchvision lists the recipe of the
        # model's paper first, whose figures the field quotes.
        recipes = [recipe for recipe in get_model_weights(architecture) if recipe.meta["categories"]]
        for position, recipe in enumerate(recipes):
            labels = recipe.meta["categories"]
            digest = hashlib.sha256("\n".join(labels).encode()).hexdigest()[:16]
            categories[digest] = labels
            entries.append(_entry(architecture, recipe) | {"categories": digest, "is_first": position == 0})
    return {"categories": categories, "entries": entries}


def _entry(architecture: str, recipe: Any) -> dict[str, Any]:  # noqa: ANN401 - a member of torchvision's enum
    from models.engines.reference import preprocessing_of

    return {
        "architecture": architecture,
        "recipe": recipe.name,
        "weights_file": Path(recipe.url).name,
        "parameters": recipe.meta["num_params"],
        "published_top1": _published_top1(recipe.meta),
        "preprocessing": asdict(preprocessing_of(recipe)),
    }


def _published_top1(meta: Mapping[str, Any]) -> float | None:
    percent = meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1")
    return None if percent is None else percent / 100


if __name__ == "__main__":
    main(_step)
