"""Several runs compared: their main figures side by side, and where their models disagree."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from rich.text import Text

from report.findings import findings, for_people, memory_verdict
from report.machine import as_json, disagreement_as_json
from report.table import plain_table
from report.words import duration, percent, signed
from storage.figures import disagreement
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console
    from rich.table import Table

    from report.night import NightFigures
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

    nights: tuple[NightFigures, ...]
    disagreements: tuple[Disagreement, ...]

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """Return the rows of the comparison: what each is called, and what it says of each run."""
        rows = [(name, [read(night) for night in self.nights]) for name, read in _ROWS]
        shares = [self.efficiency(night) for night in self.nights]
        if any(share is not None for share in shares):
            rows.append(("efficiency", [percent(share) for share in shares]))
        return rows

    def efficiency(self, night: NightFigures) -> float | None:
        """Return what the most processes of a run did, as a share of as many times one alone, in these runs.

        None if there were no several for long enough, or one of the same model never was alone.
        """
        same = [night, *(other for other in self.nights if other.run.model_id == night.run.model_id)]
        alone = (each.speed_by_workers.get(1) for each in same)  # its own first
        found = night.efficiency_against(next(filter(None, alone), None))
        return found[1] if found else None

    def as_json(self) -> JsonObject:
        return {
            "runs": [as_json(night) for night in self.nights],
            "disagreements": [disagreement_as_json(pair) for pair in self.disagreements],
        }


def side_by_side(database: Database, nights: Sequence[NightFigures]) -> SideBySide:
    """Compare runs: the figures of each, and how often each two trained models gave an image another best label."""
    trained = [night.run for night in nights if not night.run.model.is_random]
    pairs = [
        disagreement(database, first, second, _EXAMPLES)
        for first, second in combinations(trained[-_MOST_COMPARED:], 2)
        if first.model_id != second.model_id
    ]
    return SideBySide(nights=tuple(nights), disagreements=tuple(pair for pair in pairs if pair.images))


#: What is read off each run alone.
_ROWS: tuple[tuple[str, Callable[[NightFigures], str]], ...] = (
    ("archive", lambda night: ", ".join(map(shown, night.run.roots))),
    ("begun, UTC", lambda night: f"{night.run.created_at:%Y-%m-%d %H:%M}"),
    ("model", lambda night: str(night.run.model)),
    ("images", lambda night: f"{night.progress.images:,}"),
    ("failed", lambda night: f"{night.progress.failed:,}"),
    ("missing", lambda night: f"{night.progress.missing:,}"),
    ("processes", lambda night: f"{len(night.workers):,}"),
    ("images/s", lambda night: f"{night.images_per_second:,.1f}" if night.images_per_second else "–"),
    ("labelling", lambda night: duration(night.labelling_s)),
    ("ms an image, p50", lambda night: f"{night.stages['total'].p50:,.1f}" if "total" in night.stages else "–"),
    ("ms an image, p99", lambda night: f"{night.stages['total'].p99:,.1f}" if "total" in night.stages else "–"),
    ("variation", lambda night: percent(night.stability.variation)),
    ("drift", lambda night: "–" if night.stability.drift is None else f"{signed(night.stability.drift * 100)} %"),
    ("stalls", lambda night: f"{len(night.stability.stalls):,}"),
    ("extra starts", lambda night: f"{night.progress.extra_starts:,}"),
    ("below 50 % sure", lambda night: percent(night.outcomes.low_confidence_share)),
    ("memory", memory_verdict),
)


#: Those of them that a list of many runs has.
_MAIN_ROWS = ("begun, UTC", "images", "failed", "missing", "images/s", "labelling", "stalls")


def print_side_by_side(compared: SideBySide, console: Console) -> None:
    console.print(_beside(compared) if len(compared.nights) <= _MOST_BESIDE else _below(compared), highlight=False)
    for night in compared.nights:
        for finding in for_people(findings(night)):
            console.print(Text(f"! run {night.run.id}: {finding.sentence}"), soft_wrap=True, highlight=False)
    for pair in compared.disagreements:
        console.print()
        share = f"{pair.different:,} of {pair.images:,} images, {percent(pair.share)}"
        console.print(Text(f"{pair.first} and {pair.second} differ on {share}"), soft_wrap=True, highlight=False)
        for path, first, second in pair.examples[:_EXAMPLES_SHOWN]:
            console.print(Text(f"  {path}: {first}, or {second}"), soft_wrap=True, highlight=False)


def _beside(compared: SideBySide) -> Table:
    table = plain_table("")
    for night in compared.nights:
        table.add_column(f"run {night.run.id}", overflow="fold")
    for name, values in compared.rows:
        table.add_row(name, *map(Text, values))
    return table


def _below(compared: SideBySide) -> Table:
    chosen = [row for row in _ROWS if row[0] in _MAIN_ROWS]
    table = plain_table("run")
    for name, _ in chosen:
        table.add_column(name, overflow="fold")
    for night in compared.nights:
        table.add_row(str(night.run.id), *(Text(read(night)) for _, read in chosen))
    return table
