"""Which models there are, where their weights are, and what of them is prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.catalogue import FAMILIAR, load_catalogue
from models.prepared_folder import prepared_precisions
from models.weights import find_weights, how_to_get_weights, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from common.settings import Settings
    from models.catalogue import CatalogueEntry


@dataclass(frozen=True, kw_only=True)
class ListedModel:
    """A model that `--model` takes, and what of it is on this machine."""

    name: str
    is_default: bool
    parameters: int
    input_px: int  #: of each side
    prepared: tuple[str, ...]  #: precisions in which it can be loaded at once
    weights: Path | None  #: None: they are missing
    how_to_get_weights: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Some of the models that there are."""

    models: tuple[ListedModel, ...]
    others: int  #: models that are not listed


def list_models(settings: Settings, *, every: bool = False) -> Listing:
    """Return the models that the field compares; or, behind them, every one of torchvision's classifiers.

    The weights that are found are hashed, which takes a moment each.

    Raises:
        ModelError: the catalogue cannot be written, or a weights file cannot be read.

    """
    settings = settings.model_copy(update={"weights": None})  # one file is not every model's
    catalogue = load_catalogue(settings.cache_dir)
    entries = [catalogue[name] for name in FAMILIAR]
    if every:
        entries += [entry for name, entry in sorted(catalogue.items()) if name not in FAMILIAR]
    listed = tuple(_listed(entry, settings) for entry in entries)
    return Listing(models=listed, others=len(catalogue) - len(listed))


def _listed(entry: CatalogueEntry, settings: Settings) -> ListedModel:
    weights = find_weights(entry, settings)
    prepared: list[str] = []
    if weights:
        prepared = prepared_precisions(entry.architecture, entry.recipe, sha256_of(weights), settings.cache_dir)
    return ListedModel(
        name=entry.name,
        is_default=entry.name == FAMILIAR[0],
        parameters=entry.parameters,
        input_px=entry.preprocessing.crop_size,
        prepared=tuple(prepared),
        weights=weights,
        how_to_get_weights=how_to_get_weights(entry, settings),
    )
