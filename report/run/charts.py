"""The charts of a run's page, and of several runs side by side."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from report.charts import COLOURS, Chart, add_bars, empty_figure, figure_with_legend, named_bars, plain_bars
from report.run.outcome import CONFIDENCE_BINS
from report.run.stages import STAGE_NAMES
from report.words import percent
from vocabulary.languages import ENGLISH
from vocabulary.names import kind_name, label_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import plotly.graph_objects as go

    from report.run.figures import RunFigures

    Curve = Sequence[tuple[datetime, float]]

#: Beyond the colours, processes are told apart by how their line is dashed.
_DASHES = ("solid", "dash", "dot")
_PROCESSES_DRAWN = len(COLOURS) * len(_DASHES)
#: What is drawn of a stage over time.
_PERCENTILES = ("p50", "p95", "p99", "max")
#: A line is broken where its points are so many times further apart than usual, and so far at least.
_GAPS = 3
_LEAST_GAP = timedelta(minutes=1)


def charts(figures: RunFigures, language: str = ENGLISH) -> Iterator[Chart]:
    """Yield the charts of one run, those for which there are figures, with names in this language."""
    if len(figures.minutes) > 1:
        title = "Images per minute" + ("; stalls in orange" if figures.stability.stalls else "")
        yield Chart(title, _by_minute(figures), is_wide=True)
    if figures.shares:
        yield Chart("Time spent by the processes", _shares(figures))
    if figures.outcomes.top_labels:
        yield Chart("Images by confidence, the score of their best label", _confidence(figures))
        if figures.outcomes.top_kinds:
            yield Chart("The most frequent kinds", _kinds(figures, language))
        yield Chart("The most frequent labels", _labels(figures, language))
    if len(figures.parts) > 1:
        for stage in reversed(figures.stages):  # the sum of them first
            yield Chart(f"{STAGE_NAMES[stage].capitalize()}: milliseconds per image, over time", _stage(figures, stage))
    yield from _charts_of_processes(figures)


def _charts_of_processes(figures: RunFigures) -> Iterator[Chart]:
    processes = figures.stability.processes
    memory = {process.name: [(point.at, point.rss_mb) for point in process.curve] for process in processes}
    cpu = {
        process.name: [(point.at, point.cpu * 100) for point in process.curve if point.cpu is not None]
        for process in processes
    }
    if any(len(points) > 1 for points in memory.values()):
        yield Chart(f"Memory of {_which(memory, 'largest')}, MB", _by_process(memory))
    if any(len(points) > 1 for points in cpu.values()):
        yield Chart(f"CPU use of {_which(cpu, 'busiest')}, % of one CPU", _by_process(cpu, " %"))


def charts_of_several(runs: Sequence[RunFigures]) -> Iterator[Chart]:
    """Yield the charts of several runs side by side."""
    names = [f"run {one.run.id}" for one in runs]
    speeds = [one.images_per_second for one in runs]
    p99 = [one.stages["total"].p99 if "total" in one.stages else None for one in runs]
    yield Chart("Images per second", named_bars(names, speeds))
    yield Chart("Milliseconds per image, p99", named_bars(names, p99))


def _by_minute(figures: RunFigures) -> go.Figure:
    figure = empty_figure()
    # Those that the run's ends and pauses cut short look like a loss of speed.
    shown = [minute for minute in figures.minutes if minute.is_whole] or figures.minutes
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
    for stall in figures.stability.stalls:
        end = stall.begin + timedelta(seconds=stall.seconds)
        figure.add_vrect(x0=stall.begin, x1=end, fillcolor=COLOURS[5], opacity=0.3, line_width=0)
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=False)
    return figure


def _shares(figures: RunFigures) -> go.Figure:
    assert figures.shares
    parts = list(figures.shares.named())
    figure = empty_figure()
    names, shares = zip(*parts, strict=True)
    add_bars(figure, shares, names, [percent(share) for share in shares], marker_color=COLOURS[: len(parts)])
    return figure


def _confidence(figures: RunFigures) -> go.Figure:
    figure = empty_figure()
    counts = figures.outcomes.confidence
    middles = [(place + 0.5) / CONFIDENCE_BINS * 100 for place in range(len(counts))]
    figure.add_bar(x=middles, y=counts, name="images", marker_line_width=0)
    figure.update_xaxes(range=[0, 100], ticksuffix=" %", dtick=25)
    figure.update_layout(bargap=0.05)
    return figure


def _kinds(figures: RunFigures, language: str) -> go.Figure:
    kinds = figures.outcomes.top_kinds
    return plain_bars(
        [kind.images for kind in kinds],
        [kind_name(kind.kind, language) for kind in kinds],
        [f"{kind.images:,}" for kind in kinds],
        hovertemplate="%{y}: %{x} images<extra></extra>",
    )


def _labels(figures: RunFigures, language: str) -> go.Figure:
    labels = figures.outcomes.top_labels
    return plain_bars(
        [label.images for label in labels],
        [label_name(label.label, language) for label in labels],
        [f"{label.images:,}" for label in labels],
        customdata=[label.mean_score for label in labels],
        hovertemplate="%{y}: %{x} images, mean score %{customdata:.0%}<extra></extra>",
    )


def _stage(figures: RunFigures, stage: str) -> go.Figure:
    """Return a stage's percentiles over time."""
    middles = [part.begin + (part.end - part.begin) / 2 for part in figures.parts]
    figure = figure_with_legend(1)  # its names are short
    for percentile in _PERCENTILES:
        values = [getattr(part.stages[stage], percentile) if stage in part.stages else None for part in figures.parts]
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
    figure = figure_with_legend(len(drawn))
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
