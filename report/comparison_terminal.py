"""The comparison of models for people: tables that are readable in black and white and at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from report.table import plain_table
from report.words import duration, percent, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType
    from rich.table import Table

    from report.comparison import Candidate, Comparison, LongTime

_RANDOM = "RANDOM"
_PAIRS_SHOWN = 6


def print_comparison(comparison: Comparison, console: Console) -> None:
    for block in _blocks(comparison):
        console.print(block, highlight=False, soft_wrap=isinstance(block, Text))


def _blocks(comparison: Comparison) -> Iterator[RenderableType]:
    yield Text(f"On {comparison.images:,} images, one thread, each model alone in a fresh process:")
    for table in tables(comparison):
        yield Text()
        yield table
    if len(comparison.disagreements) > _PAIRS_SHOWN:
        yield Text(f"and {len(comparison.disagreements) - _PAIRS_SHOWN:,} more pairs: --html or --json shows them")
    yield Text()
    for remark in comparison.remarks:
        yield Text(f"! {remark}", style="bold")
    yield Text(comparison.recommendation, style="bold")


def tables(comparison: Comparison) -> Iterator[Table]:
    """Yield the tables for which there are figures: names and examples may be folded, figures not."""
    yield _what_they_are(comparison)
    yield _how_fast(comparison)
    if any(candidate.long_time for candidate in comparison.candidates):
        yield _long_time(comparison)
        yield _memory(comparison)
    if comparison.disagreements:
        yield _disagreements(comparison)


def _what_they_are(comparison: Comparison) -> Table:
    table = plain_table("model", "M parameters", "file MB", "pixels", "top-1", "top-3")
    for one in comparison.candidates:
        table.add_row(
            _name(one),
            f"{one.parameters / 1e6:.1f}",
            "–" if one.file_mb is None else f"{one.file_mb:.0f}",
            str(one.input_px),
            percent(one.top1),
            percent(one.top3),
        )
    return table


def _how_fast(comparison: Comparison) -> Table:
    table = plain_table("model", "ms", "p50", "p99", "images/s", "load s", "peak MB", "CPU")
    for one in comparison.candidates:
        table.add_row(
            _name(one),
            f"{one.latency_mean_ms:.1f}",
            f"{one.latency_p50_ms:.1f}",
            f"{one.latency_p99_ms:.1f}",
            f"{one.images_per_second:.1f}",
            f"{one.load_s:.1f}",
            f"{one.peak_rss_mb:.0f}",
            percent(one.cpu_share),
        )
    return table


def _long_time(comparison: Comparison) -> Table:
    table = plain_table("over a long time", "requests", "errors", "stalls", "ms, p50", "p99", "CPU")
    for name, long in _long_times(comparison):
        table.add_row(
            name,
            f"{long.requests:,}",
            f"{long.errors:,}",
            f"{long.stalls:,}",
            f"{long.p50_ms:.1f}",
            f"{long.p99_ms:.1f}",
            percent(long.cpu_share),
        )
    return table


def _memory(comparison: Comparison) -> Table:
    table = plain_table("its memory", "over", "MB/h", "95 % interval", "verdict")
    for name, long in _long_times(comparison):
        rise = long.rss_slope if long.verdict != "too short" else None
        table.add_row(
            name,
            duration(long.seconds),
            signed(rise.per_hour) if rise else "–",
            f"{signed(rise.low)} to {signed(rise.high)}" if rise else "–",
            long.verdict,
        )
    return table


def _long_times(comparison: Comparison) -> Iterator[tuple[str, LongTime]]:
    for one in comparison.candidates:
        if one.long_time:
            yield _name(one), one.long_time


def _disagreements(comparison: Comparison) -> Table:
    table = plain_table("they differ", "images", "share")
    table.add_column("for example", overflow="fold")
    for pair in sorted(comparison.disagreements, key=lambda pair: -pair.different)[:_PAIRS_SHOWN]:
        example = "{}: {}, or {}".format(*pair.examples[0]) if pair.examples else ""
        names, images = f"{pair.first} | {pair.second}", f"{pair.different:,} of {pair.images:,}"
        table.add_row(names, images, percent(pair.share), Text(example))
    return table


def _name(one: Candidate) -> str:
    return f"{one.model} {one.precision}{f' {_RANDOM}' if one.is_random else ''}"
