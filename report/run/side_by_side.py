"""Several runs compared: their main figures side by side, and where their models disagree."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from rich.text import Text

from report.disagreement import disagreement_as_json, example_in_words
from report.run.findings import findings, for_people, memory_verdict
from report.run.json_report import as_json
from report.table import plain_table
from report.words import duration, percent, signed
from storage.figures import disagreement
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console
    from rich.table import Table

    from report.run.figures import RunFigures
    from storage.database import Database
    from storage.records import Disagreement, JsonObject

_EXAMPLES = 10
_EXAMPLES_SHOWN = 3
#: Runs whose models are compared two by two, the newest; among more, a reader finds nothing.
_MOST_COMPARED = 6
#: Runs that fit side by side on 80 columns; more stand one below the other, with less of each.
_MOST_BESIDE = 3


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """Several runs."""

    runs: tuple[RunFigures, ...]
    disagreements: tuple[Disagreement, ...]

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """Return the rows of the comparison: what each is called, and what it says of each run."""
        rows = [(name, [read(one) for one in self.runs]) for name, read in _ROWS]
        shares = [self.efficiency(one) for one in self.runs]
        if any(share is not None for share in shares):
            rows.append(("efficiency", [percent(share) for share in shares]))
        return rows

    def efficiency(self, figures: RunFigures) -> float | None:
        """Return what the most processes of a run did, as a share of as many times one alone, in these runs.

        None if there were no several for long enough, or one of the same model never was alone.
        """
        same_model = [figures, *(one for one in self.runs if one.run.model_id == figures.run.model_id)]
        alone = (one.speed_by_workers.get(1) for one in same_model)  # its own first
        found = figures.efficiency_against(next(filter(None, alone), None))
        return found[1] if found else None

    def as_json(self) -> JsonObject:
        return {
            "runs": [as_json(one) for one in self.runs],
            "disagreements": [disagreement_as_json(pair) for pair in self.disagreements],
        }


def side_by_side(database: Database, runs: Sequence[RunFigures]) -> SideBySide:
    """Compare runs: the figures of each, and how often each two trained models gave an image another best label."""
    trained = [one.run for one in runs if not one.run.model.is_random]
    pairs = [
        disagreement(database, first, second, _EXAMPLES)
        for first, second in combinations(trained[-_MOST_COMPARED:], 2)
        if first.model_id != second.model_id
    ]
    return SideBySide(runs=tuple(runs), disagreements=tuple(pair for pair in pairs if pair.images))


#: What is read off each run alone.
_ROWS: tuple[tuple[str, Callable[[RunFigures], str]], ...] = (
    ("archive", lambda one: ", ".join(map(shown, one.run.roots))),
    ("started, UTC", lambda one: f"{one.run.created_at:%Y-%m-%d %H:%M}"),
    ("model", lambda one: str(one.run.model)),
    ("images", lambda one: f"{one.progress.images:,}"),
    ("failed", lambda one: f"{one.progress.failed:,}"),
    ("missing", lambda one: f"{one.progress.missing:,}"),
    ("processes", lambda one: f"{len(one.workers):,}"),
    ("images/s", lambda one: f"{one.images_per_second:,.1f}" if one.images_per_second else "–"),
    ("labelling", lambda one: duration(one.labelling_s)),
    ("ms per image, p50", lambda one: f"{one.stages['total'].p50:,.1f}" if "total" in one.stages else "–"),
    ("ms per image, p99", lambda one: f"{one.stages['total'].p99:,.1f}" if "total" in one.stages else "–"),
    ("variation", lambda one: percent(one.stability.variation)),
    ("drift", lambda one: "–" if one.stability.drift is None else f"{signed(one.stability.drift * 100)} %"),
    ("stalls", lambda one: f"{len(one.stability.stalls):,}"),
    ("chunk retries", lambda one: f"{one.progress.extra_starts:,}"),
    ("score below 50 %", lambda one: percent(one.outcomes.low_confidence_share)),
    ("memory", memory_verdict),
)


#: Those of them that a list of many runs has.
_MAIN_ROWS = ("started, UTC", "images", "failed", "missing", "images/s", "labelling", "stalls")


def print_side_by_side(compared: SideBySide, console: Console) -> None:
    console.print(_beside(compared) if len(compared.runs) <= _MOST_BESIDE else _below(compared), highlight=False)
    for one in compared.runs:
        for finding in for_people(findings(one)):
            console.print(Text(f"! run {one.run.id}: {finding.sentence}"), soft_wrap=True, highlight=False)
    for pair in compared.disagreements:
        console.print()
        share = f"{pair.different:,} of {pair.images:,} images, {percent(pair.share)}"
        console.print(Text(f"{pair.first} and {pair.second} disagree on {share}"), soft_wrap=True, highlight=False)
        for example in pair.examples[:_EXAMPLES_SHOWN]:
            console.print(Text(f"  {example_in_words(example)}"), soft_wrap=True, highlight=False)


def _beside(compared: SideBySide) -> Table:
    table = plain_table("")
    for one in compared.runs:
        table.add_column(f"run {one.run.id}", overflow="fold")
    for name, values in compared.rows:
        table.add_row(name, *map(Text, values))
    return table


def _below(compared: SideBySide) -> Table:
    chosen = [row for row in _ROWS if row[0] in _MAIN_ROWS]
    table = plain_table("run")
    for name, _ in chosen:
        table.add_column(name, overflow="fold")
    for one in compared.runs:
        table.add_row(str(one.run.id), *(Text(read(one)) for _, read in chosen))
    return table
