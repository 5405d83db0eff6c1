"""`nightlabel models`: which there are, where their weights are, and what is prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from models.catalogue import FAMILIAR, load_catalogue
from models.prepared import prepared_precisions
from models.weights import find_weights, how_to_get_weights, sha256_of

if TYPE_CHECKING:
    from rich.console import Console

    from common.settings import Settings
    from models.catalogue import CatalogueEntry


def print_models(settings: Settings, console: Console, *, every: bool) -> None:
    settings = settings.model_copy(update={"weights": None})  # one file is not every model's
    catalogue = load_catalogue(settings.cache_dir)
    entries = [catalogue[name] for name in FAMILIAR]
    if every:
        entries += [entry for name, entry in sorted(catalogue.items()) if name not in FAMILIAR]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (
        ("model", "left"),
        ("parameters", "right"),
        ("input", "right"),
        ("prepared", "left"),
    ):
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # a literal, in a tuple
    table.add_column("weights", overflow="fold")
    for entry in entries:
        table.add_row(*_row(entry, settings))
    console.print(table, highlight=False)
    missing = next((entry for entry in entries if find_weights(entry, settings) is None), None)
    if missing:
        console.print(
            f"\nTo get weights, as for {missing.name}: {how_to_get_weights(missing, settings)}", highlight=False
        )
    if not every:
        console.print(f"\n{len(catalogue) - len(entries)} more: nightlabel models --all", highlight=False)


def _row(entry: CatalogueEntry, settings: Settings) -> tuple[str, ...]:
    size = entry.preprocessing.crop_size
    weights = find_weights(entry, settings)
    ready: list[str] = []
    if weights:
        ready = prepared_precisions(entry.architecture, entry.recipe, sha256_of(weights), settings.cache_dir)
    return (
        f"{entry.name}{' (default)' if entry.name == FAMILIAR[0] else ''}",
        f"{entry.parameters / 1e6:.1f} M",
        f"{size} × {size}",
        ", ".join(ready) or "–",
        str(weights) if weights else "missing",
    )
