"""The report for people: one screen, readable in black and white and at 80 columns."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from report.findings import findings, for_people, memory_verdict
from report.night import STAGE_NAMES
from report.table import plain_table
from report.words import counted, duration, percent, signed, size
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, RenderableType

    from report.night import NightFigures

_WORKERS_SHOWN = 6
_LABELS_SHOWN = 6
#: Characters of a line drawn of blocks.
_CURVE_WIDTH = 60
_BLOCKS = "▁▂▃▄▅▆▇█"


def print_report(night: NightFigures, console: Console) -> None:
    for block in _blocks(night):
        console.print(block, highlight=False, soft_wrap=isinstance(block, Text))


def _blocks(night: NightFigures) -> Iterator[RenderableType]:
    yield Text(f"Run {night.run.id}: {', '.join(map(shown, night.run.roots))}", style="bold")
    facts = Table.grid(padding=(0, 1))
    facts.add_column(width=10)
    facts.add_column(overflow="fold")
    for name, fact in _facts(night):
        facts.add_row(name, Text(fact))
    yield facts
    for table in (_stages(night), _workers(night), _failures(night)):
        if table.row_count:
            yield Text()
            yield table
    if night.failures:
        yield Text(f"Once more:  nightlabel retry  (or only: nightlabel retry --kind {night.failures[0].kind})")
    told = Table.grid(padding=(0, 1))
    for finding in for_people(findings(night)):
        told.add_row("!", Text(finding.sentence, style="bold"))
        if finding.advice:
            told.add_row("", Text(finding.advice))
    if told.row_count:
        yield Text()
        yield told


def _facts(night: NightFigures) -> Iterator[tuple[str, str]]:
    """Yield what can be said in a line or two, with its name."""
    run, progress = night.run, night.progress
    yield "Model", f"{run.model}, on {run.engine}"
    doubtful = f" ({night.doubtful.images:,} damaged in part)" if night.doubtful else ""
    counts = f"{progress.images:,}: {progress.ok:,} labelled{doubtful}, {progress.failed:,} failed"
    yield "Images", counts + (f", {progress.missing:,} still missing" if progress.missing else "")
    if run.skipped:
        yield "", f"{run.skipped:,} more had their labels already"
    if night.images_per_second:
        yield from _throughput(night)
        yield from _stability(night)
        yield from _labels(night)


def _throughput(night: NightFigures) -> Iterator[tuple[str, str]]:
    pauses = f", without pauses of {duration(night.pauses_s)}" if night.pauses_s else ""
    yield "Speed", f"{night.images_per_second:,.1f} images/s over {duration(night.labelling_s)}{pauses}"
    whole = [minute.images for minute in night.minutes if minute.is_whole]
    if len(whole) > 1:
        middle = sorted(whole)[len(whole) // 2]
        yield "By minute", curve(whole)
        yield "", f"{min(whole):,} to {max(whole):,} images, {middle:,} in the middle"
    if night.efficiency:
        workers, share = night.efficiency
        yield "", f"{workers} processes did {percent(share)} of {workers} times the work of one"
    if night.shares:
        yield "Time", ", ".join(f"{name} {percent(share)}" for name, share in night.shares.named())


def _stability(night: NightFigures) -> Iterator[tuple[str, str]]:
    steady = night.stability
    parts = []
    if steady.variation is not None:
        parts.append(f"varies by {percent(steady.variation)} from minute to minute")
    if steady.drift is not None:
        parts.append(f"{signed(steady.drift * 100)} % from beginning to end")
    parts.append(counted(len(steady.stalls), "stall"))
    if steady.published_again:
        parts.append(f"chunks published again {counted(steady.published_again, 'time')}")
    parts += [
        counted(night.progress.extra_starts, "extra start"),
        f"{counted(steady.restarts, 'process')} replaced",
    ]
    yield "Steady", ", ".join(parts)
    yield "Memory", memory_verdict(night)


def _labels(night: NightFigures) -> Iterator[tuple[str, str]]:
    found = night.outcomes
    if not found.top_labels:
        return
    most = ", ".join(f"{label.label} {label.images:,}" for label in found.top_labels[:_LABELS_SHOWN])
    yield "Labels", f"{found.labels:,} different; most often {most}"
    if found.low_confidence_share is not None:
        yield "Sure", f"0 {curve(found.confidence)} 1; {percent(found.low_confidence_share)} below 50 %"
    same = found.duplicates
    if same.extra_files:
        yield "The same", f"{_copies(same.extra_files)}: {size(same.extra_bytes)}"


def _copies(files: int) -> str:
    return "1 file is a copy of another" if files == 1 else f"{files:,} files are copies of others"


def curve(values: Sequence[float]) -> str:
    """Draw numbers, from 0 up, as a line of blocks; of many, the mean of neighbours."""
    width = min(len(values), _CURVE_WIDTH)
    edges = [place * len(values) // width for place in range(width + 1)]
    means = [sum(values[begin:end]) / (end - begin) for begin, end in pairwise(edges)]
    most = max(means) or 1
    return "".join(_BLOCKS[min(int(mean / most * len(_BLOCKS)), len(_BLOCKS) - 1)] for mean in means)


def _stages(night: NightFigures) -> Table:
    table = plain_table("ms an image", "p50", "p95", "p99", "max")
    for stage, figures in night.stages.items():
        values = (figures.p50, figures.p95, figures.p99, figures.max)
        table.add_row(STAGE_NAMES[stage], *(f"{value:,.1f}" for value in values))
    return table


def _workers(night: NightFigures) -> Table:
    table = plain_table("worker", "images", "images/s", "busy", "CPU", "MB", "peak MB", "MB/h")
    processes = {process.name: process for process in night.stability.processes}
    for worker in night.workers[:_WORKERS_SHOWN]:
        process = processes.get(worker.name)
        rise = process.rss_slope if process and process.verdict != "too short" else None
        table.add_row(
            worker.name,
            f"{worker.images:,}",
            f"{worker.images_per_second:,.1f}",
            percent(worker.busy_share),
            percent(process.cpu_share if process else None),
            _mb(worker.rss_mb),
            _mb(worker.peak_rss_mb),
            signed(rise.per_hour) if rise else "–",
        )
    if len(night.workers) > _WORKERS_SHOWN:
        table.add_row(f"and {len(night.workers) - _WORKERS_SHOWN} more: --json lists them")
    return table


def _mb(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _failures(night: NightFigures) -> Table:
    table = plain_table("failed", "images")
    table.add_column("for example", overflow="fold")
    for failure in night.failures:
        table.add_row(failure.kind, f"{failure.images:,}", Text(failure.example))
    return table
