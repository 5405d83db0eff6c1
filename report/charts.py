"""The base of charts, as plotly draws them. Colours of text and lines are the page's, light or dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import plotly.graph_objects as go

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Okabe and Ito's colours, which people tell apart however they see colours. https://jfly.uni-koeln.de/color/
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8a00", "#777777")
#: Pixels that a bar takes beside its name, and below it; and that are free above and below all bars.
_BAR, _NAMED_BAR, _AROUND = 22, 44, 24


class Chart(NamedTuple):
    """A chart with what it shows, for those who don't see it too."""

    title: str
    figure: go.Figure
    is_wide: bool = False


def named_bars(names: Sequence[str], values: Sequence[float | None]) -> go.Figure:
    """Return a bar for each value; for one that is not known, a dash in its place.

    The names are above the bars: beside them, long ones would leave a phone no room for the bars.
    """
    figure = empty_figure(_AROUND + _NAMED_BAR * len(names))
    said = ["–" if value is None else f"{value:,.1f}" for value in values]
    add_bars(figure, [value or 0.0 for value in values], names, said)
    for name in names:
        figure.add_annotation(
            text=name, x=0, xref="x domain", xanchor="left", y=name, yanchor="bottom", yshift=8, showarrow=False
        )
    figure.update_yaxes(showticklabels=False)
    figure.update_layout(bargap=0.6, margin_l=4)
    return figure


def plain_bars(
    values: Sequence[float],
    names: Sequence[str],
    said: Sequence[str],
    **more: Any,  # noqa: ANN401 - plotly's
) -> go.Figure:
    """Return a bar for each name, with the name left of it, and right of it what it says."""
    figure = empty_figure(_AROUND + _BAR * len(names))
    add_bars(figure, values, names, said, **more)
    return figure


def add_bars(
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


def empty_figure(height: int = 280) -> go.Figure:
    """Return a figure of so many pixels, without anything drawn."""
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


def figure_with_legend(names: int) -> go.Figure:
    """Return a figure that is the taller the more names it has to list: a phone shows one a line."""
    return empty_figure(260 + 15 * names).update_layout(showlegend=True)
