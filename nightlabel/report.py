"""`nightlabel report`: in which form runs are shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from report.run.figures import run_figures
from report.run.json_report import as_json
from report.run.side_by_side import print_side_by_side, side_by_side
from report.run.terminal import print_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.settings import Settings
    from nightlabel.output import Output
    from storage.database import Database
    from storage.records import Run


def show_run(database: Database, run: Run, settings: Settings, output: Output) -> None:
    """Show the report on one run."""
    figures = run_figures(database, run)
    if output.html:
        from report.page import write_page
        from report.run.page import run_page

        write_page(run_page(figures, database, settings), output.html)
    output.show("The report", lambda: as_json(figures), partial(print_report, figures))


def show_runs(database: Database, runs: Sequence[Run], output: Output) -> None:
    """Show several runs side by side; what it is for machines has the same form for one."""
    compared = side_by_side(database, [run_figures(database, run) for run in runs])
    if output.html:
        from report.page import write_page
        from report.run.page import runs_page

        write_page(runs_page(compared), output.html)
    output.show("The report", compared.as_json, partial(print_side_by_side, compared))
