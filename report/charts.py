"""The charts of the HTML report, as plotly draws them. Colours of text and lines are the page's, light or dark."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, NamedTuple

import plotly.graph_objects as go

from report.night import STAGE_NAMES
from report.outcome import CONFIDENCE_BINS
from report.words import percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from report.comparison import Comparison
    from report.night import NightFigures

    Curve = Sequence[tuple[datetime, float]]

#: Okabe and Ito's colours, which people tell apart however they see colours. https://jfly.uni-koeln.de/color/
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8a00", "#777777")
#: Beyond the colours, processes are told apart by how their line is dashed, and models by their mark.
_DASHES = ("solid", "dash", "dot")
_SYMBOLS = ("circle", "diamond", "square")
_PROCESSES_DRAWN = len(COLOURS) * len(_DASHES)
#: Pixels that a bar takes beside its name, and below it; and that are free above and below all bars.
_BAR, _NAMED_BAR, _AROUND = 22, 44, 24
#: What is drawn of a stage over time.
_PERCENTILES = ("p50", "p95", "p99", "max")
#: A line is broken where its points are so many times further apart than usual, and so far at least.
_GAPS = 3
_LEAST_GAP = timedelta(minutes=1)


class Chart(NamedTuple):
    """A chart with what it shows, for those who don't see it too."""

    title: str
    figure: go.Figure
    is_wide: bool = False


def charts(night: NightFigures) -> Iterator[Chart]:
    """Yield the charts for which there are figures."""
    if len(night.minutes) > 1:
        title = "Images by minute" + ("; stalls in orange" if night.stability.stalls else "")
        yield Chart(title, _by_minute(night), is_wide=True)
    if night.shares:
        yield Chart("Where the processes' time went", _shares(night))
    if night.outcomes.top_labels:
        yield Chart("Images by how sure the model was of their label", _confidence(night))
        yield Chart("The most frequent labels", _labels(night))
    if len(night.parts) > 1:
        for stage in reversed(night.stages):  # the sum of them first
            yield Chart(f"{STAGE_NAMES[stage].capitalize()}: milliseconds an image, over time", _stage(night, stage))
    memory = {
        process.name: [(point.at, point.rss_mb) for point in process.curve] for process in night.stability.processes
    }
    cpu = {
        process.name: [(point.at, point.cpu * 100) for point in process.curve if point.cpu is not None]
        for process in night.stability.processes
    }
    if any(len(points) > 1 for points in memory.values()):
        yield Chart(f"Memory of {_which(memory, 'largest')}, MB", _by_process(memory))
    if any(len(points) > 1 for points in cpu.values()):
        yield Chart(f"CPU of {_which(cpu, 'busiest')}, % of one", _by_process(cpu, " %"))


def charts_of_several(nights: Sequence[NightFigures]) -> Iterator[Chart]:
    """Yield the charts of several runs side by side."""
    names = [f"run {night.run.id}" for night in nights]
    speeds = [night.images_per_second for night in nights]
    p99 = [night.stages["total"].p99 if "total" in night.stages else None for night in nights]
    yield Chart("Images a second", _bars(names, speeds))
    yield Chart("Milliseconds an image, p99", _bars(names, p99))


def charts_of_models(compared: Comparison) -> Iterator[Chart]:
    """Yield the charts of models side by side."""
    names = [one.name for one in compared.candidates]
    yield Chart("Images a second, one thread", _bars(names, [one.images_per_second for one in compared.candidates]))
    yield Chart("Milliseconds of one image, p50", _bars(names, [one.latency_p50_ms for one in compared.candidates]))
    known = [one for one in compared.candidates if one.top1 is not None]
    if known:
        figure = _figure_with_legend(len(known))
        for place, one in enumerate(known):
            figure.add_scatter(
                x=[one.images_per_second],
                y=[(one.top1 or 0.0) * 100],
                name=one.name,
                mode="markers",
                marker={"size": 12, "symbol": _SYMBOLS[place // len(COLOURS) % len(_SYMBOLS)]},
                cliponaxis=False,
            )
        figure.update_xaxes(title="images a second", rangemode="tozero")
        figure.update_yaxes(ticksuffix=" %", automargin=True)
        yield Chart("Right at the first label, by speed", figure)
    yield Chart("Memory at the peak, MB", _bars(names, [one.peak_rss_mb for one in compared.candidates]))


def _bars(names: Sequence[str], values: Sequence[float | None]) -> go.Figure:
    """Return a bar for each value; for one that is not known, a dash in its place.

    The names are above the bars: beside them, long ones would leave a phone no room for the bars.
    """
    figure = _figure(_AROUND + _NAMED_BAR * len(names))
    said = ["–" if value is None else f"{value:,.1f}" for value in values]
    _add_bars(figure, [value or 0.0 for value in values], names, said)
    for name in names:
        figure.add_annotation(
            text=name, x=0, xref="x domain", xanchor="left", y=name, yanchor="bottom", yshift=8, showarrow=False
        )
    figure.update_yaxes(showticklabels=False)
    figure.update_layout(bargap=0.6, margin_l=4)
    return figure


def _add_bars(
    figure: go.Figure,
    values: Sequence[float],
    names: Sequence[str],
    said: Sequence[str],
    **more: Any,  # noqa: ANN401 - plotly's
) -> None:
    """Add a bar for each name, from top to bottom, and right of it what it says, for which no axis is needed."""
    figure.add_bar(
        x=values,
        y=names,
        orientation="h",
        text=said,
        textposition="outside",
        textangle=0,
        cliponaxis=False,
        marker_line_width=0,
        **({"hovertemplate": "%{y}: %{text}<extra></extra>"} | more),
    )
    figure.update_xaxes(range=[0, max(values, default=0) or 1], visible=False)
    figure.update_yaxes(autorange="reversed", automargin=True, dtick=1, showgrid=False)
    figure.update_layout(margin_r=56, margin_b=12)  # what the longest bar says is in the margin


def _figure(height: int = 280) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 48, "r": 20, "t": 12, "b": 36},
        colorway=COLOURS,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "maxheight": 0.6},
        hovermode="closest",
    )
    return figure


def _figure_with_legend(names: int) -> go.Figure:
    """Return a figure that is the taller the more names it has to list: a phone shows one a line."""
    return _figure(260 + 15 * names).update_layout(showlegend=True)


def _by_minute(night: NightFigures) -> go.Figure:
    figure = _figure()
    # Those that the run's ends and pauses cut short look like a loss of speed.
    shown = [minute for minute in night.minutes if minute.is_whole] or night.minutes
    long = timedelta(minutes=1)
    x: list[datetime] = []
    y: list[int] = []
    for place, minute in enumerate(shown):
        x.append(minute.minute)
        y.append(minute.images)
        if place + 1 == len(shown) or shown[place + 1].minute > minute.minute + long:  # then nothing is drawn
            x += [minute.minute + long] * 2
            y += [minute.images, 0]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line_shape="hv",
        fill="tozeroy",
        name="images",
    )
    for stall in night.stability.stalls:
        end = stall.begin + timedelta(seconds=stall.seconds)
        figure.add_vrect(x0=stall.begin, x1=end, fillcolor=COLOURS[5], opacity=0.3, line_width=0)
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=False)
    return figure


def _shares(night: NightFigures) -> go.Figure:
    assert night.shares
    parts = list(night.shares.named())
    figure = _figure()
    names, shares = zip(*parts, strict=True)
    _add_bars(figure, shares, names, [percent(share) for share in shares], marker_color=COLOURS[: len(parts)])
    return figure


def _confidence(night: NightFigures) -> go.Figure:
    figure = _figure()
    counts = night.outcomes.confidence
    middles = [(place + 0.5) / CONFIDENCE_BINS * 100 for place in range(len(counts))]
    figure.add_bar(x=middles, y=counts, name="images", marker_line_width=0)
    figure.update_xaxes(range=[0, 100], ticksuffix=" %", dtick=25)
    figure.update_layout(bargap=0.05)
    return figure


def _labels(night: NightFigures) -> go.Figure:
    labels = night.outcomes.top_labels
    figure = _figure(_AROUND + _BAR * len(labels))
    _add_bars(
        figure,
        [label.images for label in labels],
        [label.label for label in labels],
        [f"{label.images:,}" for label in labels],
        customdata=[label.mean_score for label in labels],
        hovertemplate="%{y}: %{x} images, mean score %{customdata:.0%}<extra></extra>",
    )
    return figure


def _stage(night: NightFigures, stage: str) -> go.Figure:
    """Return a stage's percentiles over time."""
    middles = [part.begin + (part.end - part.begin) / 2 for part in night.parts]
    figure = _figure_with_legend(1)  # its names are short
    for percentile in _PERCENTILES:
        values = [getattr(part.stages[stage], percentile) if stage in part.stages else None for part in night.parts]
        x, y = _broken(middles, values)
        figure.add_scatter(x=x, y=y, mode="lines", name=percentile)
    # The slowest image must not flatten all others. In the queue some wait 0 ms, which has no logarithm.
    figure.update_yaxes(**({"rangemode": "tozero"} if stage == "queue" else {"type": "log"}))
    return figure


def _which(curves: Mapping[str, Curve], most: str) -> str:
    """Return `each process`, or, where they are too many to be drawn, which of them are."""
    if len(curves) <= _PROCESSES_DRAWN:
        return "each process"
    return f"the {_PROCESSES_DRAWN} {most} of {len(curves):,} processes"


def _by_process(curves: Mapping[str, Curve], unit: str = "") -> go.Figure:
    """Return a line for each process, by its name; of too many, for those that are highest on average."""
    heights = {name: fmean(value for _, value in points) if points else 0.0 for name, points in curves.items()}
    highest = set(sorted(heights, key=lambda name: -heights[name])[:_PROCESSES_DRAWN])
    drawn = [(name, points) for name, points in curves.items() if name in highest]
    figure = _figure_with_legend(len(drawn))
    for place, (name, points) in enumerate(drawn):
        x, y = _broken([at for at, _ in points], [value for _, value in points])
        dash = _DASHES[place // len(COLOURS)]
        figure.add_scatter(x=x, y=y, mode="lines", line_dash=dash, name=name)
    figure.update_yaxes(rangemode="tozero", ticksuffix=unit)
    return figure


def _broken(times: Sequence[datetime], values: Sequence[float | None]) -> tuple[list[datetime], list[Any]]:
    """Return a line that is broken where nothing was measured for much longer than usual, as in a pause."""
    if not times:
        return [], []
    gaps_s = [(after - before).total_seconds() for before, after in pairwise(times)]
    usual = timedelta(seconds=median(gaps_s or [0.0]))
    x, y = [times[0]], [values[0]]
    for (before, after), value in zip(pairwise(times), values[1:], strict=True):
        if after - before > max(_GAPS * usual, _LEAST_GAP):
            x.append(before + (after - before) / 2)
            y.append(None)
        x.append(after)
        y.append(value)
    return x, y
