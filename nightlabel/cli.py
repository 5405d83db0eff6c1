"""The command line: which commands there are. What is slow to import is imported by the command that needs it."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from nightlabel.commands import (
    bench,
    cancel,
    classify,
    compare,
    correct,
    db,
    enqueue,
    export,
    find,
    models,
    move,
    report,
    retry,
    review,
    run,
    sidecars,
    status,
    web,
    worker,
)
from nightlabel.exits import ends_well
from nightlabel.screen import prepare_streams, say

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
models_app = typer.Typer(invoke_without_command=True)
db_app = typer.Typer(help="The database's schema, and what an older one lacks.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(db_app, name="db")

for command in (
    run.run,
    enqueue.enqueue,
    worker.worker,
    status.status,
    cancel.cancel,
    move.move,
    retry.retry,
    report.report,
    compare.compare,
    find.find,
    correct.correct,
    review.review,
    export.export,
    sidecars.sidecars,
    classify.classify,
    web.web,
    bench.bench,
):
    app.command()(ends_well(command))
models_app.callback()(ends_well(models.models))
models_app.command("prepare")(ends_well(models.prepare))
db_app.command("upgrade")(ends_well(db.upgrade))
db_app.command("kinds")(ends_well(db.kinds))


def _say_version(asked: bool) -> None:  # noqa: FBT001 - Typer's
    if asked:
        from importlib.metadata import version

        say(f"nightlabel {version('nightlabel')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Label a whole image archive overnight, and query the result with SQL in the morning."""


def main() -> None:
    """Run the command line."""
    prepare_streams()
    try:
        app(prog_name="nightlabel")
    finally:
        gc.freeze()  # a process that ends need not look for garbage: that took a tenth of a short command's time
