"""The comparison of models as one HTML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report.comparison.charts import charts
from report.page import render

if TYPE_CHECKING:
    from report.comparison.figures import Comparison


def comparison_page(compared: Comparison) -> str:
    """Return the comparison of models as HTML."""
    soaked = [one for one in compared.candidates if one.soak]
    return render("report.comparison", "comparison.html.j2", charts(compared), compared=compared, soaked=soaked)
