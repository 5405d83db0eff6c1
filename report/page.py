"""The base of a report as one HTML file: it needs no network, prints, and is light or dark as the reader likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from common.whole_file import whole_file
from report.markup import breakable, with_code
from report.words import counted, duration, percent, signed, size
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from report.charts import Chart


def render(
    package: str,
    template: str,
    charts: Iterable[Chart],
    **values: Any,  # noqa: ANN401 - whatever the template asks
) -> str:
    """Return a page as HTML.

    Args:
        package: whose folder `templates` has the template; beside it those of `report` can be extended and imported.
        template: its file name.
        charts: what `draw(charts)` in it draws.
        values: what else it names.

    """
    return (
        _environment(package)
        .get_template(template)
        .render(
            charts=[(chart, _as_script(chart)) for chart in charts],
            plotly=Markup(get_plotlyjs()),  # noqa: S704 - plotly's own
            **values,
        )
    )


def _environment(package: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("report")]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["counted"] = counted
    environment.filters |= {
        "duration": _unbroken(duration),
        "percent": _unbroken(percent),
        "signed": signed,
        "size": _unbroken(size),
        "shown": shown,
        "breakable": breakable,
        "with_code": with_code,
        "count": "{:,}".format,
        "one_decimal": "{:,.1f}".format,
        "whole": "{:,.0f}".format,
    }
    return environment


def _unbroken(say: Callable[[float], str]) -> Callable[[float], str]:
    """Return the same words, which no line ends between: a unit stays with its figure."""
    return lambda value: say(value).replace(" ", "\u00a0")


def _as_script(chart: Chart) -> Markup:
    """Return a chart as JSON that no label or path can end the script element with."""
    return Markup(chart.figure.to_json().replace("<", "\\u003c"))  # noqa: S704 - as said


def write_page(page: str, path: Path) -> None:
    """Write the page to a file, whole or not at all.

    Raises:
        UsageError: it cannot be written there.

    """
    with whole_file(path) as file:
        file.write(page.encode(errors="backslashreplace"))  # a name may hold what UTF-8 does not
