"""Which models there are, and what torchvision says of each: kept in a file, so that nobody waits for torch.

The catalogue is everything that torchvision's weights metadata gives: transforms, categories, file names. It is
written once for each version of torchvision, by a process of its own (`models.write_catalogue`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from common.errors import ModelError
from models.subprocess_steps import run_apart
from storage.records import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The models that the field compares; `nightlabel models` shows these first.
FAMILIAR = ("resnet18", "mobilenet_v2", "efficientnet_b0", "shufflenet_v2_x1_0")

#: Of the catalogue's file: an entry that gains a field gets another file.
_FORMAT = 3

#: Parts a model's name from the recipe of its weights: `mobilenet_v2@IMAGENET1K_V2`.
RECIPE_MARK = "@"


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """One model with one of its recipes: the weights that torchvision has for it, and what goes with them."""

    architecture: str
    recipe: str  #: `IMAGENET1K_V1`
    weights_file: str  #: as torchvision names it in its cache
    parameters: int
    preprocessing: Preprocessing
    categories: tuple[str, ...]
    published_top1: float | None  #: share of ImageNet's validation images, 0…1, as torchvision says
    is_first: bool  #: the recipe that a name without one means

    @property
    def name(self) -> str:
        """What `--model` takes."""
        return self.architecture if self.is_first else f"{self.architecture}{RECIPE_MARK}{self.recipe}"


def catalogue_path(cache_dir: Path) -> Path:
    return cache_dir / f"catalogue-{_FORMAT}-torchvision-{version('torchvision')}.json"


@lru_cache(maxsize=1)
def load_catalogue(cache_dir: Path) -> Mapping[str, CatalogueEntry]:
    """Return the catalogue by name, written first where it is missing.

    Raises:
        ModelError: it could not be written.

    """
    path = catalogue_path(cache_dir)
    document = _read(path)
    if document is None:
        run_apart("models.write_catalogue", cache_dir)  # only the first time on a machine
        document = _read(path)
    if document is None:
        raise ModelError(f"The catalogue {path} cannot be read. Set NIGHTLABEL_CACHE_DIR to another folder.")
    entries = (_entry(fields, document["categories"]) for fields in document["entries"])
    return {entry.name: entry for entry in entries}


def find_entry(name: str, cache_dir: Path) -> CatalogueEntry:
    """Return the entry of that name.

    Raises:
        ModelError: torchvision has no such classification model.

    """
    catalogue = load_catalogue(cache_dir)
    architecture, _, recipe = name.partition(RECIPE_MARK)
    for entry in catalogue.values():
        if entry.architecture == architecture and (entry.recipe == recipe or (not recipe and entry.is_first)):
            return entry
    from difflib import get_close_matches

    near = get_close_matches(name, catalogue, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise ModelError(f"There is no model {name!r}.{hint} `nightlabel models --all` lists them.")


def catalogue_document(content: Mapping[str, Any]) -> str:
    """Return what the file holds: the catalogue, and its sha256. A label that was changed in it would look right."""
    return json.dumps({"sha256": _sha256(content), **content})


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any] | None:
    """Return the catalogue; None if it is missing or damaged, and has to be written."""
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        recorded = document.pop("sha256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return document if recorded == _sha256(document) else None


def _entry(fields: dict[str, Any], categories: dict[str, list[str]]) -> CatalogueEntry:
    values = dict(fields)
    preprocessing = Preprocessing.from_json(values.pop("preprocessing"))
    labels = categories[values.pop("categories")]
    return CatalogueEntry(preprocessing=preprocessing, categories=tuple(labels), **values)
