"""`nightlabel status`: in one look, what is done, waiting and missing, and which workers live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from storage.records import shown
from storage.runs import newest_run, progress, unfinished_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from common.settings import Settings
    from storage.database import Database
    from storage.records import Run


def print_status(settings: Settings, database: Database, console: Console) -> None:
    for line in [*_runs(database), *_queue(settings)]:
        console.print(Text(line), soft_wrap=True)


def _runs(database: Database) -> Iterator[str]:
    newest = newest_run(database)
    if newest is None:
        yield f"No run in {database.shown}. `nightlabel run PATH` makes one."
        return
    unfinished = unfinished_runs(database)
    for run in unfinished or [newest]:
        yield from _run(database, run)


def _run(database: Database, run: Run) -> Iterator[str]:
    state = progress(database, run.id)
    yield f"Run {run.id}, {run.state}: {', '.join(map(shown, run.roots))}"
    yield f"  model     {run.model}"
    yield (f"  images    {state.images:,}: {state.ok:,} labelled, {state.failed:,} failed, {state.missing:,} missing")
    if state.missing:
        on_queue = state.chunks - state.chunks_done - state.chunks_waiting - state.chunks_in_work
        yield (
            f"  chunks    {state.chunks_in_work:,} in work, {on_queue:,} on the queue,"
            f" {state.chunks_waiting:,} not yet published"
        )


def _queue(settings: Settings) -> Iterator[str]:
    if settings.broker_url is None:
        yield "No broker is set: `nightlabel run` keeps its queue and its workers to itself."
        return
    from broker.app import make_app
    from broker.queue import depth, unacknowledged, workers

    app = make_app(settings)
    yield f"Queue: {depth(app):,} chunks wait, {unacknowledged(app):,} are taken"
    living = workers(app)
    for name, chunks in living.items():
        yield f"Worker {name}: {chunks} chunks in work"
    if not living:
        yield "No worker answers. Start one: nightlabel worker"
