"""What is in a database: reports, results, and its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nightlabel.library.arguments import loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from common.settings import Settings
    from report.run.figures import RunFigures
    from report.run.side_by_side import SideBySide
    from storage.missing_kinds import Filled


def open_report(run_id: int | None = None, settings: Settings | None = None) -> RunFigures:
    """Return the figures of a run; None: of the newest one.

    Example:
        figures = nightlabel.open_report(settings=settings)
        print(figures.images_per_second, figures.outcomes.top_labels[:3])

    Raises:
        DatabaseError: there is no such database or run.

    """
    return compare_runs([] if run_id is None else [run_id], settings=settings).runs[0]


def compare_runs(run_ids: Iterable[int] = (), since: str | None = None, settings: Settings | None = None) -> SideBySide:
    """Return the figures of several runs side by side: of these, of all since a time, or of the newest one alone.

    Example:
        for figures in nightlabel.compare_runs(since="7d", settings=settings).runs:
            print(figures.run.id, figures.images_per_second)

    Args:
        run_ids: of the runs.
        since: a day, a time as in `2026-11-24T22:00` (not UTC), or `12h` ago; not together with ids.
        settings: what can be set.

    Raises:
        DatabaseError: there is no such database or run.
        UsageError: the time makes no sense, or ids are given too.

    """
    from contextlib import closing

    from report.run.figures import run_figures
    from report.run.selection import find_runs
    from report.run.side_by_side import side_by_side
    from storage.schema_version import existing_database

    with closing(existing_database(loaded(settings).database_url)) as database:
        found = find_runs(database, list(run_ids), since)
        return side_by_side(database, [run_figures(database, run) for run in found])


def write_report(path: Path, figures: RunFigures | SideBySide, settings: Settings | None = None) -> None:
    """Write the report on a run, or on several side by side, as one HTML file that needs no network.

    Example:
        nightlabel.write_report(Path("night.html"), nightlabel.open_report(settings=settings), settings)

    Args:
        path: of the file, which is there whole or not at all.
        figures: what `open_report` or `compare_runs` returned.
        settings: what can be set; the page on one run shows photos of its archive, as far as they are there.

    Raises:
        UsageError: the file cannot be written.
        DatabaseError: the database is out of reach.

    """
    from contextlib import closing

    from report.page import write_page
    from report.run.figures import RunFigures
    from report.run.page import run_page, runs_page
    from storage.schema_version import existing_database

    if not isinstance(figures, RunFigures):
        write_page(runs_page(figures), path)
        return
    chosen = loaded(settings)
    with closing(existing_database(chosen.database_url)) as database:
        write_page(run_page(figures, database, chosen), path)


def export(
    output: Path | None = None, form: str = "csv", where: str | None = None, settings: Settings | None = None
) -> int:
    """Write the results to a file for other programs, as a stream; return how many.

    Example:
        nightlabel.export(Path("labels.csv"), where="score_1 >= 0.8", settings=settings)

    Args:
        output: the file, which is there whole or not at all; None: standard output.
        form: `csv`, `jsonl` or `parquet`.
        where: a condition in SQL on the columns of `results`.
        settings: what can be set; with a `language`, the names that it has stand in columns of their own besides.

    Raises:
        UsageError: the condition makes no sense, the file cannot be written, or Parquet's library is missing.
        DatabaseError: there is no such database, or it cannot be read.
        BrokenPipeError: whoever reads the output has had enough.

    """
    from contextlib import closing

    from export.writers import export as write
    from storage.schema_version import existing_database

    chosen = loaded(settings)
    with closing(existing_database(chosen.database_url)) as database:
        return write(database, form, where, output, chosen.language)


class Upgraded(NamedTuple):
    """What upgrading a database's schema came to."""

    database: str  #: its URL, without a password
    before: str | None  #: the schema's revision; None: the database was empty
    after: str
    without_kinds: int  #: results, one per image and model, that could have kinds: `fill_kinds` gives them some


def upgrade_database(settings: Settings | None = None) -> Upgraded:
    """Bring a database to this program's schema. Stop the workers first.

    Example:
        print(nightlabel.upgrade_database(settings).after)

    Raises:
        DatabaseError: out of reach, or its schema is newer than this program.

    """
    from contextlib import closing

    from storage.database import Database
    from storage.missing_kinds import count_missing_kinds
    from storage.schema_version import upgrade

    with closing(Database(loaded(settings).database_url)) as database:
        before, after = upgrade(database)
        return Upgraded(database.shown, before, after, count_missing_kinds(database))


def fill_kinds(settings: Settings | None = None, progress: Callable[[int, int], None] = lambda *_: None) -> Filled:
    """Give kinds to what was labelled before there were any, each from its three labels.

    A sum over three labels is at most the one over all 1,000 classes that a worker takes: a score may be lower than
    after labelling again (`relabel`), never higher. May be interrupted, and run while workers label.

    Example:
        filled = nightlabel.fill_kinds(settings)
        print(filled.results, "results have kinds now")

    Args:
        settings: what can be set.
        progress: told, again and again, how many results have kinds now, and of how many that had none.

    Raises:
        DatabaseError: there is no such database, or it cannot be written.

    """
    from contextlib import closing

    from storage.missing_kinds import fill_kinds as fill
    from storage.schema_version import existing_database

    with closing(existing_database(loaded(settings).database_url)) as database:
        return fill(database, progress)
