"""`nightlabel models`: which there are, where their weights are, and what is prepared; and preparing one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.screen import Screen, say

if TYPE_CHECKING:
    from common.settings import Settings
    from models.listing import ListedModel


@takes_settings()
def models(
    context: typer.Context,
    settings: Settings,
    every: Annotated[bool, typer.Option("--all", help="Every classification model of torchvision.")] = False,
) -> None:
    """List the models that can label: parameters, input size, weights, what is prepared. Or prepare one.

    Example: nightlabel models --all
    """
    if context.invoked_subcommand:
        return
    from rich.table import Table

    listing = library.list_models(settings, every=every)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("input", justify="right", no_wrap=True)
    table.add_column("prepared", no_wrap=True)
    table.add_column("weights", overflow="fold")
    for one in listing.models:
        table.add_row(*_row(one))
    console = Screen()
    console.print(table, highlight=False)
    missing = next((one for one in listing.models if one.weights is None), None)
    if missing:
        console.print(f"\nTo get weights, as for {missing.name}: {missing.how_to_get_weights}", highlight=False)
    if not every:
        console.print(f"\n{listing.others} more: nightlabel models --all", highlight=False)


def _row(one: ListedModel) -> tuple[str, ...]:
    return (
        f"{one.name}{' (default)' if one.is_default else ''}",
        f"{one.parameters / 1e6:.1f} M",
        f"{one.input_px} × {one.input_px}",
        ", ".join(one.prepared) or "–",
        str(one.weights) if one.weights else "missing",
    )


@takes_settings("weights")
def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `nightlabel models` lists.")],
    settings: Settings,
    int8: Annotated[
        list[str] | None,
        typer.Option("--int8", metavar="PATH", help="Quantise it too, anew, on images under this path."),
    ] = None,
) -> None:
    """Convert a model once, so that workers start in a moment.

    Example: nightlabel models prepare mobilenet_v2
    """
    say(library.prepare_model(name, settings, int8 or []))
