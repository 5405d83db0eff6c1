"""`nightlabel export`: results for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("db", "language")
def export(
    settings: Settings,
    form: Annotated[str, typer.Option("--format", metavar="csv|jsonl|parquet")] = "csv",
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="Only these, as in \"label_1 = 'tabby' and score_1 >= 0.8\".")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Instead of standard output.")] = None,
) -> None:
    """Write the results to a file for other programs, as a stream: all of them, or those that a condition holds for.

    Example: nightlabel export --format parquet --output labels.parquet
    """
    rows = library.export(output, form, where, settings)
    say("1 row." if rows == 1 else f"{rows:,} rows.", err=True)
