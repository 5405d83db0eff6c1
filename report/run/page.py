"""The report on one run, or on several side by side, as one HTML file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from report.beside import beside
from report.page import render
from report.run.accuracy import in_words
from report.run.charts import charts, charts_of_several
from report.run.findings import findings, for_people, memory_verdict
from report.run.stages import STAGE_NAMES
from report.run.thumbnails import thumbnails
from storage.figures import paths_with_content, surest_images
from vocabulary.languages import chosen_language

if TYPE_CHECKING:
    from common.settings import Settings
    from report.run.figures import RunFigures
    from report.run.side_by_side import SideBySide
    from storage.database import Database

#: Pictures of the images with the highest confidence, and as many of those with the lowest.
THUMBNAILS = 12
_COPIES_SHOWN = 4


def run_page(figures: RunFigures, database: Database, settings: Settings) -> str:
    """Return the report as HTML. It reads the images that it shows from the archive."""
    run = figures.run
    language = chosen_language(settings.language)
    lowest_first = beside(partial(surest_images, database, run, THUMBNAILS, least=True))
    highest = surest_images(database, run, THUMBNAILS)
    lowest = [one for one in lowest_first.result() if one not in highest]
    return render(
        "report.run",
        "run.html.j2",
        charts(figures, language),
        figures=figures,
        findings=for_people(findings(figures)),
        accuracy=in_words(figures.accuracy, language) if figures.accuracy else (),
        memory=memory_verdict(figures),
        highest=thumbnails(highest, run, settings, language),
        lowest=thumbnails(lowest, run, settings, language),
        copies=[
            (count, paths_with_content(database, run, content, _COPIES_SHOWN))
            for content, count in figures.outcomes.duplicates.largest
        ],
        processes={process.name: process for process in figures.stability.processes},
        stage_names=STAGE_NAMES,
        database=database.shown,
    )


def runs_page(compared: SideBySide) -> str:
    """Return the comparison of several runs as HTML."""
    told = [(one.run.id, finding) for one in compared.runs for finding in for_people(findings(one))]
    return render("report.run", "runs.html.j2", charts_of_several(compared.runs), compared=compared, findings=told)
