"""Nightlabel from Python: one function a command, and nothing that a command could do besides.

Each takes its settings as `Settings`, made by `load_settings(database_url="labels.db", …)`; None stands for those of
the environment (`NIGHTLABEL_…`). What goes wrong is raised as a `NightlabelError`, whose message says what to do. A
process that uses `label`, `retry` or `bench` starts others: guard its entry with `if __name__ == "__main__":`.

Everything that is slow to import is imported by the function that needs it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from common.settings import Settings
    from models.listing import Listing
    from report.comparison.figures import Comparison
    from report.run.figures import RunFigures
    from report.run.side_by_side import SideBySide
    from runner.bench import Bench, BenchDisplay
    from runner.cancel import Cancelled
    from runner.display import Display, RunEnd
    from runner.status import Status
    from worker.classify import Answer
    from worker.measure import Assignment

#: A file or folder, as `open` takes it.
AnyPath: TypeAlias = str | os.PathLike[str]


def label(
    paths: AnyPath | Iterable[AnyPath], settings: Settings | None = None, display: Display | None = None
) -> RunEnd:
    """Label everything under these paths on this machine; the same call resumes, or labels what is new or changed.

    Example:
        end = nightlabel.label("photos", nightlabel.load_settings(database_url="labels.db"))
        print(end.progress.ok, "labelled,", end.progress.failed, "failed")

    Args:
        paths: folders, or image files.
        settings: what can be set.
        display: who is told how it goes (`runner.display.Display`); None: nobody.

    Returns:
        The finished run. Its labels are in the database: tables `results` and `labels`.

    Raises:
        ArchiveError: a path is missing or unreadable, there is no image, or the archive is gone amid the run.
        ModelError: no such model, or its weights are missing or damaged.
        DatabaseError: out of reach, or of another version.
        FollowedError: another process follows the run over these paths.
        CancelledError: the run was cancelled.
        WorkersError: the workers end again and again.
        BrokerError: Redis is out of reach.
        KeyboardInterrupt: Ctrl-C; what is labelled by then stays.

    """
    from runner.display import SILENT
    from runner.run import label as label_paths

    return label_paths(_loaded(settings), _names(paths), display or SILENT)


def enqueue(
    paths: AnyPath | Iterable[AnyPath],
    settings: Settings | None = None,
    display: Display | None = None,
    *,
    wait: bool = False,
) -> RunEnd:
    """Put everything under these paths on the queue of workers that run elsewhere.

    Example:
        end = nightlabel.enqueue("photos", settings)  # with a broker_url
        print(end.progress.images, "images in", end.progress.chunks, "chunks")

    Args:
        paths: folders, or image files.
        settings: what can be set, a broker among it.
        display: who is told how it goes; None: nobody.
        wait: follow the run to its end, and publish again what gets lost.

    Raises:
        BrokerError: no broker is set, or Redis is out of reach.
        NightlabelError: as `label` does.

    """
    from runner.display import SILENT
    from runner.run import enqueue as enqueue_paths

    return enqueue_paths(_loaded(settings), _names(paths), display or SILENT, wait=wait)


def work(settings: Settings | None = None) -> int:
    """Label what is on the queue, until this process is told to stop (SIGTERM); return its exit status.

    Example:
        raise SystemExit(nightlabel.work(settings))  # with a broker_url

    It forks, and takes over the signals and the logging of the process.

    Raises:
        WorkersError: no process pool can be made on this machine.
        BrokerError: no broker is set.

    """
    from worker.service import serve

    return serve(_loaded(settings))


def status(settings: Settings | None = None) -> Status:
    """Say what is done, in flight, waiting, failed and stalled, and which workers live.

    Example:
        for one in nightlabel.status(settings).situations:
            print(one.run.id, one.progress.labelled, "of", one.progress.images)

    Raises:
        DatabaseError: there is no such database, or it is out of reach.
        BrokerError: Redis is out of reach.

    """
    from runner.status import status as look

    return look(_loaded(settings))


def cancel(run_id: int, settings: Settings | None = None) -> Cancelled:
    """Give up a run that is not finished: it is not labelled any further. What it labelled stays.

    Example:
        nightlabel.cancel(1, settings)

    Raises:
        DatabaseError: there is no such run, or the database is out of reach.

    """
    from runner.cancel import cancel as cancel_run

    return cancel_run(_loaded(settings), run_id)


def retry(kinds: Iterable[str] = (), settings: Settings | None = None, display: Display | None = None) -> list[RunEnd]:
    """Label the failed images again: with a broker set, by its workers, else here and now.

    Example:
        for end in nightlabel.retry(["unreadable"], settings):
            print(end.progress.ok, "of", end.progress.images)

    Args:
        kinds: only failures of these kinds; none: of any.
        settings: what can be set.
        display: who is told how it goes; None: nobody.

    Returns:
        What became of each run that was made for it; none: no image failed.

    Raises:
        UsageError: there is no such kind of failure.
        NightlabelError: as `label` does.

    """
    from runner.display import SILENT
    from runner.retry import retry as retry_kinds

    return retry_kinds(_loaded(settings), list(kinds), display or SILENT)


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
    from storage.schema import existing_database

    with closing(existing_database(_loaded(settings).database_url)) as database:
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
    from storage.schema import existing_database

    if not isinstance(figures, RunFigures):
        write_page(runs_page(figures), path)
        return
    chosen = _loaded(settings)
    with closing(existing_database(chosen.database_url)) as database:
        write_page(run_page(figures, database, chosen), path)


def compare(
    paths: AnyPath | Iterable[AnyPath],
    models: Sequence[str],
    settings: Settings | None = None,
    *,
    truth: Path | None = None,
    assignment: Assignment | None = None,
    note: Callable[[str], None] | None = None,
) -> Comparison:
    """Measure models side by side on a sample of these images, each alone in a process of its own.

    Example:
        comparison = nightlabel.compare("photos", ["resnet18", "mobilenet_v2"], settings)
        print(comparison.recommendation)

    Args:
        paths: folders, or image files.
        models: their names.
        settings: what can be set.
        truth: a CSV file with the right labels: columns `file`, and `label` or `class_index`.
        assignment: for how long, and how many requests (`worker.measure.Assignment`).
        note: is told what goes on, a sentence at a time; None: nobody.

    Raises:
        ArchiveError: a path is missing or unreadable, or there is no image that can be labelled.
        ModelError: no such model, or none of them can be measured.
        UsageError: the truth names a label that no model has, or what is asked for makes no sense.
        KeyboardInterrupt: Ctrl-C, before anything was measured.

    """
    from runner.compare import USUAL
    from runner.compare import compare as measure
    from runner.truth import Truth

    known = Truth(truth) if truth else None
    told = note or (lambda _sentence: None)
    return measure(_loaded(settings), _names(paths), list(models), told, truth=known, assignment=assignment or USUAL)


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
        settings: what can be set.

    Raises:
        UsageError: the condition makes no sense, the file cannot be written, or Parquet's library is missing.
        DatabaseError: there is no such database, or it cannot be read.
        BrokenPipeError: whoever reads the output has had enough.

    """
    from contextlib import closing

    from export.writers import export as write
    from storage.schema import existing_database

    with closing(existing_database(_loaded(settings).database_url)) as database:
        return write(database, form, where, output)


def classify(files: AnyPath | Iterable[AnyPath], settings: Settings | None = None) -> list[Answer]:
    """Label a few files here and now: no queue, no database.

    Example:
        (answer,) = nightlabel.classify("photos/goldfinch.jpg")
        print(answer.labels[0])

    Returns:
        An answer a file, in the order given; one that could not be labelled has an `error_kind`.

    Raises:
        ModelError: no such model, or its weights are missing or damaged.

    """
    from worker.classify import classify_files

    return classify_files(_names(files), _loaded(settings))


def bench(paths: AnyPath | Iterable[AnyPath], display: BenchDisplay, settings: Settings | None = None) -> Bench:
    """Measure, in about a minute, how fast this machine labels these images, and how long all of them will take.

    Example:
        measured = nightlabel.bench("photos", display, settings)
        print(measured.best.images_per_second, measured.forecast_s)

    Args:
        paths: folders, or image files.
        display: who is told each figure as soon as it is there (`runner.bench.BenchDisplay`).
        settings: what can be set.

    Raises:
        ArchiveError: a path is missing or unreadable, or there is no image.
        ModelError: no such model, or its weights are missing or damaged.

    """
    from runner.bench import bench as measure

    return measure(_loaded(settings), _names(paths), display)


def list_models(settings: Settings | None = None, *, every: bool = False) -> Listing:
    """Return the models that the field compares, or every one of torchvision's classifiers.

    Example:
        print([one.name for one in nightlabel.list_models().models])

    Raises:
        ModelError: the catalogue cannot be written.

    """
    from models.listing import list_models as listed

    return listed(_loaded(settings), every=every)


def prepare_model(name: str, settings: Settings | None = None, int8_paths: AnyPath | Iterable[AnyPath] = ()) -> str:
    """Convert a model once, so that workers start in a moment; return what came of it, in a sentence.

    Example:
        print(nightlabel.prepare_model("mobilenet_v2"))

    Args:
        name: of the model.
        settings: what can be set.
        int8_paths: quantise it too, anew, on images under these paths.

    Raises:
        ModelError: no such model, or its weights are missing or damaged, or its int8 labels differ too often.
        ArchiveError: a path is missing or unreadable.

    """
    from models.resolve import resolve

    chosen = _loaded(settings).model_copy(update={"model": name, "engine": "openvino"})
    if paths := _names(int8_paths):
        from runner.calibration import quantise_on

        quantised = quantise_on(chosen.model_copy(update={"precision": "int8"}), paths, anew=True)
        return f"{name}: {quantised}."
    ready = resolve(chosen)
    return f"{ready.model.architecture} is prepared in {ready.prepared}."


class Upgraded(NamedTuple):
    """What upgrading a database's schema came to."""

    database: str  #: its URL, without a password
    before: str | None  #: the schema's revision; None: the database was empty
    after: str


def upgrade_database(settings: Settings | None = None) -> Upgraded:
    """Bring a database to this program's schema. Stop the workers first.

    Example:
        print(nightlabel.upgrade_database(settings).after)

    Raises:
        DatabaseError: out of reach, or its schema is newer than this program.

    """
    from contextlib import closing

    from storage.database import Database
    from storage.schema import upgrade

    with closing(Database(_loaded(settings).database_url)) as database:
        return Upgraded(database.shown, *upgrade(database))


def _loaded(settings: Settings | None) -> Settings:
    from common.settings import load_settings
    from models.engines import check_names

    settings = settings or load_settings()
    check_names(settings)
    return settings


def _names(paths: AnyPath | Iterable[AnyPath]) -> list[str]:
    if isinstance(paths, str | os.PathLike):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]
