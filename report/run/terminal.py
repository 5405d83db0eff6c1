"""The report for people: one screen, readable in black and white and at 80 columns."""

from __future__ import annotations

from itertools import chain, pairwise, repeat
from statistics import median_high
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from report.run.accuracy import in_words
from report.run.findings import findings, for_people, memory_verdict
from report.run.stages import STAGE_NAMES
from report.table import plain_table
from report.words import counted, duration, percent, signed, size
from storage.records import shown
from vocabulary.languages import ENGLISH
from vocabulary.names import kind_name, label_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, RenderableType

    from report.run.figures import RunFigures
    from report.run.processes import ProcessFigures
    from report.run.workers import WorkerFigures

_WORKERS_SHOWN = 6
_LABELS_SHOWN = 6
_KINDS_SHOWN = 8
#: Characters of a line drawn of blocks.
_CURVE_WIDTH = 60
_BLOCKS = "▁▂▃▄▅▆▇█"


def print_report(figures: RunFigures, console: Console, language: str = ENGLISH) -> None:
    """Print the report; what was found is called by its names in this language."""
    for block in _blocks(figures, language):
        console.print(block, highlight=False, soft_wrap=isinstance(block, Text))


def _blocks(figures: RunFigures, language: str) -> Iterator[RenderableType]:
    yield Text(f"Run {figures.run.id}: {', '.join(map(shown, figures.run.roots))}", style="bold")
    facts = Table.grid(padding=(0, 1))
    facts.add_column(width=10)
    facts.add_column(overflow="fold")
    for name, fact in _facts(figures, language):
        facts.add_row(name, Text(fact))
    yield facts
    for table in (_stages(figures), _workers(figures), _failures(figures)):
        if table.row_count:
            yield Text()
            yield table
    if figures.failures:
        yield Text(f"Retry:  nightlabel retry  (or only: nightlabel retry --kind {figures.failures[0].kind})")
    told = Table.grid(padding=(0, 1))
    for finding in for_people(findings(figures)):
        told.add_row("!", Text(finding.sentence, style="bold"))
        if finding.advice:
            told.add_row("", Text(finding.advice))
    if told.row_count:
        yield Text()
        yield told


def _facts(figures: RunFigures, language: str) -> Iterator[tuple[str, str]]:
    """Yield what can be said in a line or two, with its name."""
    run, progress = figures.run, figures.progress
    yield "Model", f"{run.model}, on {run.engine}"
    doubtful = f" ({figures.doubtful.images:,} partly damaged)" if figures.doubtful else ""
    counts = f"{progress.images:,}: {progress.ok:,} labelled{doubtful}, {progress.failed:,} failed"
    yield "Images", counts + (f", {progress.missing:,} still missing" if progress.missing else "")
    if run.skipped:
        yield "", f"{run.skipped:,} more had their labels already"
    if figures.copied:
        yield "", f"{figures.copied:,} took the labels of the same bytes: read, not computed"
    if figures.images_per_second:
        yield from _throughput(figures)
        yield from _stability(figures)
        yield from _labels(figures, language)
    if figures.accuracy:
        yield from zip(chain(["Accuracy"], repeat("")), in_words(figures.accuracy, language), strict=False)


def _throughput(figures: RunFigures) -> Iterator[tuple[str, str]]:
    pauses = f", without pauses of {duration(figures.pauses_s)}" if figures.pauses_s else ""
    yield "Speed", f"{figures.images_per_second:,.1f} images/s over {duration(figures.labelling_s)}{pauses}"
    whole = [minute.images for minute in figures.minutes if minute.is_whole]
    if len(whole) > 1:
        yield "Per minute", curve(whole)
        yield "", f"{min(whole):,} to {max(whole):,} images, median {median_high(whole):,}"
    if figures.efficiency:
        workers, share = figures.efficiency
        yield "Efficiency", f"{workers} processes did {percent(share)} of {workers} times the work of one"
    if figures.shares:
        yield "Time spent", ", ".join(f"{name} {percent(share)}" for name, share in figures.shares.named())


def _stability(figures: RunFigures) -> Iterator[tuple[str, str]]:
    stability = figures.stability
    parts = []
    if stability.variation is not None:
        parts.append(f"varies by {percent(stability.variation)} from minute to minute")
    if stability.drift is not None:
        parts.append(f"{signed(stability.drift * 100)} % from beginning to end")
    parts.append(counted(len(stability.stalls), "stall"))
    if stability.republished:
        parts.append(f"chunks republished {counted(stability.republished, 'time')}")
    parts += [
        counted(figures.progress.extra_starts, "chunk retry"),
        f"{counted(stability.restarts, 'process')} replaced",
    ]
    yield "Stability", ", ".join(parts)
    yield "Memory", memory_verdict(figures)


def _labels(figures: RunFigures, language: str) -> Iterator[tuple[str, str]]:
    found = figures.outcomes
    if not found.top_labels:
        return
    if found.top_kinds:
        most = ", ".join(f"{kind_name(one.kind, language)} {one.images:,}" for one in found.top_kinds[:_KINDS_SHOWN])
        yield "Kinds", f"{found.kinds:,} different; most frequent: {most}"
    most = ", ".join(f"{label_name(one.label, language)} {one.images:,}" for one in found.top_labels[:_LABELS_SHOWN])
    yield "Labels", f"{found.labels:,} different; most frequent: {most}"
    if found.low_confidence_share is not None:
        low = percent(found.low_confidence_share)
        yield "Confidence", f"0 {curve(found.confidence)} 1; {low} of the images below 50 %"
    copies = found.duplicates
    if copies.extra_files:
        yield "Duplicates", f"{_copies(copies.extra_files)}: {size(copies.extra_bytes)}"


def _copies(files: int) -> str:
    return "1 file is a copy of another" if files == 1 else f"{files:,} files are copies of others"


def curve(values: Sequence[float]) -> str:
    """Draw numbers, from 0 up, as a line of blocks; of many, the mean of neighbours."""
    width = min(len(values), _CURVE_WIDTH)
    edges = [place * len(values) // width for place in range(width + 1)]
    means = [sum(values[begin:end]) / (end - begin) for begin, end in pairwise(edges)]
    most = max(means) or 1
    return "".join(_BLOCKS[min(int(mean / most * len(_BLOCKS)), len(_BLOCKS) - 1)] for mean in means)


def _stages(figures: RunFigures) -> Table:
    table = plain_table("ms per image", "p50", "p95", "p99", "max")
    for stage, percentiles in figures.stages.items():
        values = (percentiles.p50, percentiles.p95, percentiles.p99, percentiles.max)
        table.add_row(STAGE_NAMES[stage], *(f"{value:,.1f}" for value in values))
    return table


def _workers(figures: RunFigures) -> Table:
    table = plain_table(
        "worker", "images", "images/s", "busy\nshare", "CPU\nshare", "memory\nMB", "peak\nMB", "growth\nMB/h"
    )
    processes = {process.name: process for process in figures.stability.processes}
    for worker in figures.workers[:_WORKERS_SHOWN]:
        table.add_row(*_worker(worker, processes.get(worker.name)))
    if len(figures.workers) > _WORKERS_SHOWN:
        table.add_row(f"and {len(figures.workers) - _WORKERS_SHOWN} more: --json lists them")
    return table


def _worker(worker: WorkerFigures, process: ProcessFigures | None) -> Iterator[str]:
    rise = process.rss_slope if process and process.verdict != "too short" else None
    yield worker.name
    yield f"{worker.images:,}"
    yield f"{worker.images_per_second:,.1f}"
    yield percent(worker.busy_share)
    yield percent(process.cpu_share if process else None)
    yield _mb(worker.rss_mb)
    yield _mb(worker.peak_rss_mb)
    yield signed(rise.per_hour) if rise else "–"


def _mb(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _failures(figures: RunFigures) -> Table:
    table = plain_table("failure", "images")
    table.add_column("example", overflow="fold")
    for failure in figures.failures:
        table.add_row(failure.kind, f"{failure.images:,}", Text(failure.example))
    return table
