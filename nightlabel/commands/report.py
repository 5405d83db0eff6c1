"""`nightlabel report`: the figures of a run, or of several side by side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.output import AsJson, Html, Output
from nightlabel.screen import Screen

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("db", "language")
def report(
    settings: Settings,
    run_ids: Annotated[
        list[int] | None, typer.Option("--run", metavar="ID", help="Which run, or runs to compare; else the newest.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="All runs that began since: 2026-11-24, 2026-11-24T22:00 (not UTC), or 12h ago."
        ),
    ] = None,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run was like: labels, speed, stability, what went wrong, what to do. Or compare several runs.

    Example: nightlabel report --html night.html
    """
    from report.run.json_report import as_json as as_document
    from report.run.side_by_side import print_side_by_side
    from report.run.terminal import print_report
    from vocabulary.languages import chosen_language

    compared = library.compare_runs(run_ids or [], since, settings)
    output = Output(console=Screen(), html=html, as_json=as_json)
    is_one = since is None and len(compared.runs) == 1
    if html:
        library.write_report(html, compared.runs[0] if is_one else compared, settings)
    if is_one:
        figures = compared.runs[0]
        output.show(
            "The report",
            lambda: as_document(figures),
            partial(print_report, figures, language=chosen_language(settings.language)),
        )
    else:
        output.show("The report", compared.as_json, partial(print_side_by_side, compared))
