"""The charts of the page that compares models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report.charts import COLOURS, Chart, figure_with_legend, named_bars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import plotly.graph_objects as go

    from report.comparison.figures import Candidate, Comparison

#: Beyond the colours, models are told apart by their mark.
_SYMBOLS = ("circle", "diamond", "square")


def charts(compared: Comparison) -> Iterator[Chart]:
    """Yield the charts for which there are figures."""
    candidates = compared.candidates
    names = [one.name for one in candidates]
    yield Chart("Images per second, one thread", named_bars(names, [one.images_per_second for one in candidates]))
    yield Chart("Milliseconds per image, p50", named_bars(names, [one.latency_p50_ms for one in candidates]))
    known = [one for one in candidates if one.top1 is not None]
    if known:
        yield Chart("Top-1 accuracy by speed", _accuracy_by_speed(known))
    yield Chart("Peak memory, MB", named_bars(names, [one.peak_rss_mb for one in candidates]))


def _accuracy_by_speed(known: Sequence[Candidate]) -> go.Figure:
    figure = figure_with_legend(len(known))
    for place, one in enumerate(known):
        figure.add_scatter(
            x=[one.images_per_second],
            y=[(one.top1 or 0.0) * 100],
            name=one.name,
            mode="markers",
            marker={"size": 12, "symbol": _SYMBOLS[place // len(COLOURS) % len(_SYMBOLS)]},
            cliponaxis=False,
        )
    figure.update_xaxes(title="images per second", rangemode="tozero")
    figure.update_yaxes(ticksuffix=" %", automargin=True)
    return figure
