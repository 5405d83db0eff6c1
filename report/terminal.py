"""The report for people: one screen, readable in black and white and at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, RenderableType

    from report.night import MinuteFigures, NightFigures

#: Minutes shown one by one; a longer run shows its slowest, median and fastest minute.
_MINUTES_SHOWN = 3
_WORKERS_SHOWN = 8


def print_report(night: NightFigures, console: Console) -> None:
    for block in _blocks(night):
        console.print(block, highlight=False, soft_wrap=isinstance(block, Text))


def duration(seconds: float) -> str:
    """Return `42 s`, `3 min 20 s` or `7 h 05 min`."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{whole} s" if seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - a digit more
    if whole < 3600:  # noqa: PLR2004 - seconds in an hour
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _blocks(night: NightFigures) -> Iterator[RenderableType]:
    run, progress = night.run, night.progress
    yield Text(f"Run {run.id}: {', '.join(map(shown, run.roots))}", style="bold")
    yield Text(f"Model      {run.model}, on {run.engine}")
    if run.model.is_random:
        yield Text("           The weights are RANDOM: these labels mean nothing.", style="bold")
    counts = f"Images     {progress.images:,}: {progress.ok:,} labelled, {progress.failed:,} failed"
    yield Text(counts + (f", {progress.missing:,} still missing" if progress.missing else ""))
    if run.skipped:
        yield Text(f"           {run.skipped:,} more had their labels already")
    if night.images_per_second:
        yield Text(
            f"Speed      {night.images_per_second:,.1f} images/s over {duration(night.labelling_s)}{_pauses(night)}"
        )
        yield Text(f"By minute  {_minutes(night.minutes)}")
    if night.stages:
        yield Text()
        yield _stages(night)
    if night.workers:
        yield Text()
        yield _workers(night)
    if night.failures:
        yield Text()
        yield _failures(night)


def _pauses(night: NightFigures) -> str:
    return f", after pauses of {duration(night.pauses_s)}" if night.pauses_s else ""


def _minutes(minutes: Sequence[MinuteFigures]) -> str:
    if len(minutes) <= _MINUTES_SHOWN:
        return ", ".join(f"{minute.minute:%H:%M} {minute.images:,}" for minute in minutes) + " images (UTC)"
    # The first and the last minute are cut short by the run's own ends.
    whole = sorted(minute.images for minute in minutes[1:-1])
    median = whole[len(whole) // 2]
    return f"slowest {whole[0]:,}, median {median:,}, fastest {whole[-1]:,} images"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="right" if position else "left", overflow="fold")
    return table


def _stages(night: NightFigures) -> Table:
    table = _table("ms an image", "p50", "p95", "p99")
    for stage, figures in night.stages.items():
        name = "read+decode+infer" if stage == "total" else stage
        table.add_row(name, *(f"{value:,.1f}" for value in (figures.p50, figures.p95, figures.p99)))
    return table


def _workers(night: NightFigures) -> Table:
    table = _table("worker", "images", "memory MB", "peak MB")
    for worker in night.workers[:_WORKERS_SHOWN]:
        table.add_row(worker.name, f"{worker.images:,}", _mb(worker.rss_mb), _mb(worker.peak_rss_mb))
    if len(night.workers) > _WORKERS_SHOWN:
        table.add_row(f"and {len(night.workers) - _WORKERS_SHOWN} more: --json lists them")
    return table


def _mb(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _failures(night: NightFigures) -> Table:
    table = _table("failed", "images", "for example")
    table.columns[2].justify = "left"
    for failure in night.failures:
        table.add_row(failure.kind, f"{failure.images:,}", Text(failure.example))
    return table
