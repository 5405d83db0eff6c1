"""The comparison of models for people: tables that are readable in black and white and at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from report.disagreement import example_in_words
from report.table import plain_table
from report.words import duration, percent, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType
    from rich.table import Table

    from report.comparison.figures import Candidate, Comparison, Soak

_RANDOM = "RANDOM"
_PAIRS_SHOWN = 6


def print_comparison(comparison: Comparison, console: Console) -> None:
    for block in _blocks(comparison):
        console.print(block, highlight=False, soft_wrap=isinstance(block, Text))


def _blocks(comparison: Comparison) -> Iterator[RenderableType]:
    yield Text(f"Measured on {comparison.images:,} images, one thread, each model alone in a fresh process:")
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
    if any(candidate.soak for candidate in comparison.candidates):
        yield _soak(comparison)
        yield _memory(comparison)
    if comparison.disagreements:
        yield _disagreements(comparison)


def _what_they_are(comparison: Comparison) -> Table:
    table = plain_table("model", "M parameters", "file MB", "input px", "top-1", "top-3")
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
    table = plain_table("model", "mean ms", "p50 ms", "p99 ms", "images/s", "load s", "peak MB", "CPU share")
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


def _soak(comparison: Comparison) -> Table:
    table = plain_table("soak test", "requests", "errors", "stalls", "p50 ms", "p99 ms", "CPU share")
    for name, soak in _soaked(comparison):
        table.add_row(
            name,
            f"{soak.requests:,}",
            f"{soak.errors:,}",
            f"{soak.stalls:,}",
            f"{soak.p50_ms:.1f}",
            f"{soak.p99_ms:.1f}",
            percent(soak.cpu_share),
        )
    return table


def _memory(comparison: Comparison) -> Table:
    table = plain_table("memory growth", "over", "MB/h", "95 % CI", "verdict")
    for name, soak in _soaked(comparison):
        rise = soak.rss_slope if soak.verdict != "too short" else None
        table.add_row(
            name,
            duration(soak.seconds),
            signed(rise.per_hour) if rise else "–",
            f"{signed(rise.low)} to {signed(rise.high)}" if rise else "–",
            soak.verdict,
        )
    return table


def _soaked(comparison: Comparison) -> Iterator[tuple[str, Soak]]:
    for one in comparison.candidates:
        if one.soak:
            yield _name(one), one.soak


def _disagreements(comparison: Comparison) -> Table:
    table = plain_table("disagreement", "images", "share")
    table.add_column("example", overflow="fold")
    for pair in sorted(comparison.disagreements, key=lambda pair: -pair.different)[:_PAIRS_SHOWN]:
        example = example_in_words(pair.examples[0]) if pair.examples else ""
        names, images = f"{pair.first} | {pair.second}", f"{pair.different:,} of {pair.images:,}"
        table.add_row(names, images, percent(pair.share), Text(example))
    return table


def _name(one: Candidate) -> str:
    return f"{one.model} {one.precision}{f' {_RANDOM}' if one.is_random else ''}"
