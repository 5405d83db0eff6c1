"""`nightlabel compare`: models side by side."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import INTERRUPTED_EXIT_STATUS, UsageError
from nightlabel import library
from nightlabel.options import FILES, Paths, takes_settings
from nightlabel.output import AsJson, Html, Output
from nightlabel.screen import Screen, say

if TYPE_CHECKING:
    from common.settings import Settings

_USUAL_MODELS = "resnet18,mobilenet_v2,efficientnet_b0,shufflenet_v2_x1_0"


@takes_settings("precision", *FILES)
def compare(
    paths: Paths,
    settings: Settings,
    models: Annotated[str, typer.Option(metavar="NAMES", help="Models, separated by commas.")] = _USUAL_MODELS,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="The right labels: columns `file`, and `label` or `class_index`. Takes these images alone, and neither"
            " --include nor --exclude.",
        ),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Then a soak: one image per interval from each, for so long, as in 1h."),
    ] = None,
    interval: Annotated[str, typer.Option(metavar="TIME", help="Between two requests of the soak.")] = "2s",
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Measure models side by side on these images: right, fast, small, stable; and say which to choose.

    Example: nightlabel compare ~/Pictures --models resnet18,mobilenet_v2
    """
    from common.whole_file import check_writable
    from report.comparison.terminal import print_comparison
    from worker.measure import Assignment

    assignment = Assignment(
        duration_s=_seconds("--duration", duration) if duration else 0.0, interval_s=_seconds("--interval", interval)
    )
    if html:
        check_writable(html)
    names = [name.strip() for name in models.split(",") if name.strip()]
    note = partial(say, err=True)
    compared = library.compare(paths, names, settings, truth=truth, assignment=assignment, note=note)
    if html:
        from report.comparison.page import comparison_page
        from report.page import write_page

        write_page(comparison_page(compared), html)
    output = Output(console=Screen(), html=html, as_json=as_json)
    output.show("The comparison", compared.as_json, partial(print_comparison, compared))
    if not compared.is_complete:
        raise typer.Exit(INTERRUPTED_EXIT_STATUS)


def _seconds(option: str, text: str) -> float:
    from common.times import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}.") from None
    if seconds <= 0:
        raise UsageError(f"{option}: it must be more than nothing.")
    return seconds
