"""The command line: thin, one function a command. What is slow to import is imported by the command that needs it."""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from common.errors import INTERRUPTED_EXIT_STATUS, ArchiveError, DatabaseError, NightlabelError, UsageError
from models.engines import check_names, engine_names, needs_calibration, precision_names
from nightlabel.screen import OutputError, Screen, prepare_streams, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.settings import Settings
    from runner.manifest_writer import ManifestWriter
    from storage.database import Database
    from storage.records import Run

P = ParamSpec("P")

app = typer.Typer(
    help="Label a whole image archive overnight; in the morning, ask it questions in SQL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
models_app = typer.Typer(invoke_without_command=True)
db_app = typer.Typer(help="The database's schema.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(db_app, name="db")

Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Folders, or image files.")]
Db = Annotated[
    str | None,
    typer.Option("--db", metavar="URL", help="SQLite file or database URL. [NIGHTLABEL_DATABASE_URL; ./nightlabel.db]"),
]
Broker = Annotated[
    str | None,
    typer.Option("--broker", metavar="URL", help="Redis URL. [NIGHTLABEL_BROKER_URL]"),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A name that `nightlabel models` lists. [NIGHTLABEL_MODEL; resnet18]"),
]
Precision = Annotated[
    str | None,
    typer.Option(metavar="|".join(precision_names()), help="auto: bf16 where the CPU has it. [NIGHTLABEL_PRECISION]"),
]
EngineOption = Annotated[
    str | None,
    typer.Option("--engine", metavar="|".join(engine_names()), help="auto: OpenVINO on CPUs. [NIGHTLABEL_ENGINE]"),
]
Weights = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A state_dict; or `random`, to try things out. [NIGHTLABEL_WEIGHTS]"),
]
Relabel = Annotated[
    bool, typer.Option("--relabel", help="Label again what already has its labels. [NIGHTLABEL_RELABEL]")
]
Include = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Only these files, as in '*.jpg'. [NIGHTLABEL_INCLUDE]"),
]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Not these files or folders. [NIGHTLABEL_EXCLUDE]")
]
NoSkip = Annotated[
    bool,
    typer.Option("--no-skip", help="Also folders that other programs keep, as `@eaDir`. [NIGHTLABEL_NO_SKIP]"),
]
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", help="Worker processes. [NIGHTLABEL_WORKERS; as many as CPUs and memory allow]"),
]
Nice = Annotated[
    int | None, typer.Option(metavar="N", help="Stand back behind other programs, 0 to 19. [NIGHTLABEL_NICE]")
]
MemoryLimit = Annotated[
    int | None,
    typer.Option(
        "--memory-limit",
        metavar="MB",
        help="Most memory of each worker, 300 or more; 0: any. [NIGHTLABEL_MEMORY_LIMIT_MB; its share]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
Html = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write one HTML file with charts, which needs no network.")
]


def main() -> None:
    """Run the command line."""
    prepare_streams()
    app(prog_name="nightlabel")


def _guarded(command: Callable[P, None]) -> Callable[P, None]:
    """End a command with a sentence and a documented status, never with a traceback, on every expected error."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        _end_in_good_order()
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except NightlabelError as error:
            if isinstance(error, OutputError):
                _write_no_more()
            say(f"nightlabel: {error}", err=True)
            raise typer.Exit(error.exit_status) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED_EXIT_STATUS) from None
        except BrokenPipeError:  # `nightlabel export | head`
            _write_no_more()
            raise typer.Exit(0) from None

    return guarded


def _end_in_good_order() -> None:
    """Take what asks a service to stop, and a terminal that is closed, for Ctrl-C; not so under nohup(1)."""
    for sign in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sign) is not signal.SIG_IGN:
            signal.signal(sign, signal.default_int_handler)


def _write_no_more() -> None:
    """Send what standard output still holds nowhere: at its exit, Python tries again, and that would be status 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


@app.command()
@_guarded
def run(
    paths: Paths,
    db: Db = None,
    workers: Workers = None,
    model: Model = None,
    precision: Precision = None,
    engine: EngineOption = None,
    weights: Weights = None,
    include: Include = None,
    exclude: Exclude = None,
    no_skip: NoSkip = False,
    relabel: Relabel = False,
    nice: Nice = None,
    memory_limit: MemoryLimit = None,
) -> None:
    """Label everything under PATH: workers, progress, report. The same command again goes on where it stopped.

    Example: nightlabel run ~/Pictures --workers 2
    """
    settings = _settings(
        database_url=db,
        workers=workers,
        model=model,
        precision=precision,
        engine=engine,
        weights=weights,
        include=include,
        exclude=exclude,
        no_skip=no_skip or None,
        relabel=relabel or None,
        nice=nice,
        memory_limit_mb=memory_limit,
    )
    database = _database(settings)
    run_row, manifest = _open_run(settings, paths, database)
    _follow_here(settings, database, run_row, manifest)


@app.command()
@_guarded
def enqueue(
    paths: Paths,
    db: Db = None,
    broker: Broker = None,
    model: Model = None,
    precision: Precision = None,
    engine: EngineOption = None,
    weights: Weights = None,
    include: Include = None,
    exclude: Exclude = None,
    no_skip: NoSkip = False,
    relabel: Relabel = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run to its end, and publish again what gets lost.")
    ] = False,
) -> None:
    """Put everything under PATH on the queue, for workers that run elsewhere.

    Example: nightlabel enqueue /mnt/photos --wait
    """
    settings = _settings(
        database_url=db,
        broker_url=broker,
        model=model,
        precision=precision,
        engine=engine,
        weights=weights,
        include=include,
        exclude=exclude,
        no_skip=no_skip or None,
        relabel=relabel or None,
    )
    from broker.app import make_app
    from broker.queue import check_broker

    check_broker(make_app(settings))
    database = _database(settings)
    run_row, manifest = _open_run(settings, paths, database)
    _follow_elsewhere(settings, database, run_row, manifest, wait=wait)


@app.command()
@_guarded
def worker(
    concurrency: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Processes. [NIGHTLABEL_WORKERS; as many as CPUs and memory allow]"),
    ] = None,
    db: Db = None,
    broker: Broker = None,
    nice: Nice = None,
    memory_limit: MemoryLimit = None,
) -> None:
    """Label what is on the queue, until stopped. On as many hosts as there are.

    Example: NIGHTLABEL_BROKER_URL=redis://nas:6379/0 nightlabel worker --concurrency 4
    """
    settings = _settings(
        workers=concurrency, database_url=db, broker_url=broker, nice=nice, memory_limit_mb=memory_limit
    )
    from worker.service import serve

    raise typer.Exit(serve(settings))


@app.command()
@_guarded
def status(
    db: Db = None,
    broker: Broker = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 2 seconds, until all is done.")] = False,
) -> None:
    """Say what is done, in flight, waiting, failed and stalled, which workers live, and what to do.

    Example: nightlabel status --watch
    """
    settings = _settings(database_url=db, broker_url=broker)
    from runner.status import print_status, watch_status

    show = watch_status if watch else print_status
    show(settings, _existing_database(settings), Screen())


@app.command()
@_guarded
def cancel(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="Its number, as `nightlabel status` shows it.")],
    db: Db = None,
) -> None:
    """Give up a run that is not finished: it is not labelled any further. What it labelled stays.

    Example: nightlabel cancel 3
    """
    from storage.runs import cancel as cancel_run
    from storage.runs import progress

    database = _existing_database(_settings(database_url=db))
    before = cancel_run(database, run_id)
    if before is None:
        raise DatabaseError(f"There is no run {run_id} in {database.shown}. `nightlabel status` lists those at work.")
    if before.state in ("finished", "cancelled"):
        say(f"Run {run_id} is {before.state} already.")
        return
    state = progress(database, run_id)
    say(f"Run {run_id} is cancelled: {state.labelled:,} of {state.images:,} images have their outcome, and keep it.")


@app.command()
@_guarded
def retry(
    kind: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="Only failures of this kind, as in `unreadable`.")
    ] = None,
    db: Db = None,
    broker: Broker = None,
    workers: Workers = None,
) -> None:
    """Label the failed images again: with a broker set, by its workers; else here and now.

    Example: nightlabel retry --kind unreadable --kind vanished
    """
    settings = _settings(database_url=db, broker_url=broker, workers=workers)
    from runner.retry import open_retry_runs

    database = _existing_database(settings)
    opened = open_retry_runs(settings, database, kind or [])
    if not opened:
        say(f"No image failed{' for that reason' if kind else ''}: there is nothing to retry.")
    for run_row, writer in opened:
        if settings.broker_url:
            _follow_elsewhere(settings, database, run_row, writer, wait=False)
        else:
            _follow_here(settings, database, run_row, writer)


@app.command()
@_guarded
def report(
    run_ids: Annotated[
        list[int] | None, typer.Option("--run", metavar="ID", help="Which run, or runs to compare; else the newest.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="All runs begun since: 2026-11-24, 2026-11-24T22:00 (not UTC), or 12h ago."),
    ] = None,
    html: Html = None,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Show what the night was like: labels, speed, steadiness, what went wrong, what to do. Or compare several runs.

    Example: nightlabel report --html night.html
    """
    settings = _settings(database_url=db)
    from nightlabel.output import Output
    from nightlabel.report import find_runs, show_run, show_runs

    database = _existing_database(settings)
    runs = find_runs(database, run_ids or [], since)
    output = Output(console=Screen(), html=html, as_json=as_json)
    if since or len(runs) > 1:
        show_runs(database, runs, output)
    else:
        show_run(database, runs[0], settings, output)


@app.command()
@_guarded
def compare(
    paths: Paths,
    models: Annotated[
        str, typer.Option(metavar="NAMES", help="Models, parted by commas.")
    ] = "resnet18,mobilenet_v2,efficientnet_b0,shufflenet_v2_x1_0",
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="The right labels: columns `file`, and `label` or `class_index`. Takes these images alone, and neither"
            " --include nor --exclude.",
        ),
    ] = None,
    duration: Annotated[
        str | None, typer.Option(metavar="TIME", help="Then ask each for one image an interval for so long, as in 1h.")
    ] = None,
    interval: Annotated[str, typer.Option(metavar="TIME", help="Between two such requests.")] = "2s",
    html: Html = None,
    as_json: AsJson = False,
    precision: Precision = None,
    include: Include = None,
    exclude: Exclude = None,
    no_skip: NoSkip = False,
) -> None:
    """Measure models side by side on these images: right, fast, small, steady; and say which to choose.

    Example: nightlabel compare ~/Pictures --models resnet18,mobilenet_v2
    """
    settings = _settings(precision=precision, include=include, exclude=exclude, no_skip=no_skip or None)
    from common.whole_file import check_writable
    from nightlabel.output import Output
    from report.comparison_terminal import print_comparison
    from runner.compare import compare as measure
    from runner.truth import Truth
    from worker.measure import Assignment

    assignment = Assignment(
        duration_s=_seconds("--duration", duration) if duration else 0.0, interval_s=_seconds("--interval", interval)
    )
    if html:
        check_writable(html)
    compared = measure(
        settings,
        paths,
        [name.strip() for name in models.split(",") if name.strip()],
        partial(say, err=True),
        truth=Truth(truth) if truth else None,
        assignment=assignment,
    )
    if html:
        from report.page import comparison_page, write_page

        write_page(comparison_page(compared), html)
    output = Output(console=Screen(), html=html, as_json=as_json)
    output.show("The comparison", compared.as_json, partial(print_comparison, compared))
    if not compared.is_complete:
        raise typer.Exit(INTERRUPTED_EXIT_STATUS)


@app.command()
@_guarded
def export(
    form: Annotated[str, typer.Option("--format", metavar="csv|jsonl|parquet")] = "csv",
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="Only these, as in \"label_1 = 'tabby' and score_1 >= 0.8\".")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Instead of standard output.")] = None,
    db: Db = None,
) -> None:
    """Write the results to a file for other programs, as a stream: all of them, or those that a condition holds for.

    Example: nightlabel export --format parquet --output labels.parquet
    """
    from export.writers import export as write
    from report.words import counted

    rows = write(_existing_database(_settings(database_url=db)), form, where, output)
    say(f"{counted(rows, 'row')}.", err=True)


@app.command()
@_guarded
def classify(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Image files.")],
    as_json: AsJson = False,
    model: Model = None,
    precision: Precision = None,
    engine: EngineOption = None,
    weights: Weights = None,
) -> None:
    """Label a few files here and now: no queue, no database.

    Example: nightlabel classify cat.jpg dog.heic
    """
    settings = _settings(model=model, precision=precision, engine=engine, weights=weights)
    from worker.classify import classify_files

    answers = classify_files(files, settings)
    if as_json:
        say(json.dumps([answer.as_json() for answer in answers], indent=2))
    else:
        for answer in answers:
            say("\n".join(answer.lines()))
    refused = sum(not answer.labels for answer in answers)
    if refused:
        raise ArchiveError(f"{refused} of {len(answers)} files could not be labelled.")


@app.command()
@_guarded
def bench(
    paths: Paths,
    workers: Workers = None,
    as_json: AsJson = False,
    model: Model = None,
    precision: Precision = None,
    engine: EngineOption = None,
    weights: Weights = None,
    include: Include = None,
    exclude: Exclude = None,
    no_skip: NoSkip = False,
) -> None:
    """Measure, in about a minute, how fast this machine labels these images, and how long all of them will take.

    Example: nightlabel bench /mnt/photos
    """
    settings = _settings(
        workers=workers,
        model=model,
        precision=precision,
        engine=engine,
        weights=weights,
        include=include,
        exclude=exclude,
        no_skip=no_skip or None,
    )
    from runner.bench import bench as measure

    _quantise_if_int8(settings, paths)
    measured = measure(settings, paths, partial(say, err=as_json))
    if as_json:
        say(json.dumps(measured.as_json(), indent=2))


@models_app.callback()
@_guarded
def models(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Every classification model of torchvision.")] = False,
) -> None:
    """List the models that can label: parameters, input size, weights, what is prepared. Or prepare one.

    Example: nightlabel models --all
    """
    if context.invoked_subcommand:
        return
    from nightlabel.models import print_models

    print_models(_settings(), Screen(), every=every)


@models_app.command("prepare")
@_guarded
def prepare_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `nightlabel models` lists.")],
    weights: Weights = None,
    int8: Annotated[
        list[str] | None,
        typer.Option("--int8", metavar="PATH", help="Quantise it too, anew, on images under this path."),
    ] = None,
) -> None:
    """Convert a model once, so that workers start in a moment.

    Example: nightlabel models prepare mobilenet_v2
    """
    from models.resolve import resolve

    if int8:
        from runner.calibration import quantise_on

        settings = _settings(model=name, weights=weights, engine="openvino", precision="int8")
        quantised = quantise_on(settings, int8, anew=True)
        say(f"{name}: {quantised}.")
        return
    ready = resolve(_settings(model=name, weights=weights, engine="openvino"))
    say(f"{ready.model.architecture} is prepared in {ready.prepared}.")


@db_app.command("upgrade")
@_guarded
def upgrade_database(db: Db = None) -> None:
    """Bring the database to this program's schema. Stop the workers first.

    Example: nightlabel db upgrade --db postgresql://nas/photos
    """
    from storage.schema import upgrade

    database = _database(_settings(database_url=db))
    before, after = upgrade(database)
    change = f"is at schema {after} already" if before == after else f"went from schema {before or 'none'} to {after}"
    say(f"{database.shown} {change}.")


def _settings(**given: Any) -> Settings:  # noqa: ANN401 - an option of any type
    from common.settings import load_settings

    settings = load_settings(**given)
    check_names(settings)
    return settings


def _database(settings: Settings) -> Database:
    from storage.database import Database

    return Database(settings.database_url)


def _existing_database(settings: Settings) -> Database:
    """Return the database of a command that only reads: a mistyped name must not make an empty one."""
    from storage.schema import check_schema

    database = _database(settings)
    check_schema(database)
    return database


def _open_run(settings: Settings, paths: list[str], database: Database) -> tuple[Run, ManifestWriter]:
    """Return the run over these paths and what will write its manifest; say what is going to happen."""
    from runner.run import open_scan_run, scan_writer

    _quantise_if_int8(settings, paths)
    run, is_new = open_scan_run(settings, paths, database)
    _announce(run, settings, is_new=is_new)
    return run, scan_writer(database, run, settings)


def _quantise_if_int8(settings: Settings, paths: list[str]) -> None:
    """Make the int8 model that is asked for, unless there is one, and say how good it is."""
    if needs_calibration(settings.precision):
        from runner.calibration import quantise_on

        say(f"{settings.model}: {quantise_on(settings, paths)}.", err=True)


def _announce(run: Run, settings: Settings, *, is_new: bool) -> None:
    console = Screen(stderr=True)
    verb = "Labelling" if is_new else "Going on with"
    from host.machine import limits_in_words, machine, worker_count
    from storage.records import shown

    roots = ", ".join(map(shown, run.roots))
    console.out(f"{verb} {roots} (run {run.id})", highlight=False)
    console.out(f"with {run.model}, on {run.engine}", highlight=False)

    offered = machine()
    workers = worker_count(settings, offered)
    if limits := limits_in_words(settings, offered):
        console.out(limits, highlight=False)
    if workers > offered.cpus:
        console.out(f"{workers} workers on {offered.cpus} CPUs take turns: that is no faster.", highlight=False)


def _follow_here(settings: Settings, database: Database, run: Run, manifest: ManifestWriter) -> None:
    """Follow a run with workers of this machine, and print its report."""
    _follow(settings, database, run, manifest, until_published=False)
    _finish(database, run)


def _follow_elsewhere(
    settings: Settings, database: Database, run: Run, manifest: ManifestWriter, *, wait: bool
) -> None:
    """Put a run on the queue of workers that run elsewhere, and with `wait` follow it to its end."""
    from storage.runs import progress

    _follow(settings.model_copy(update={"workers": 0}), database, run, manifest, until_published=not wait)
    if wait:
        _finish(database, run)
        return
    state = progress(database, run.id)
    skipped = manifest.enqueued.up_to_date
    say(
        f"Run {run.id}: {state.images:,} images in {state.chunks:,} chunks"
        f"{f'; {skipped:,} more had their labels already' if skipped else ''}."
        " `nightlabel status` shows how far it is."
    )


def _follow(
    settings: Settings, database: Database, run: Run, manifest: ManifestWriter, *, until_published: bool
) -> None:
    from nightlabel.display import make_display
    from runner.run import everything
    from storage.runs import progress

    display = make_display(Screen(stderr=True))
    try:
        with everything(settings, database, run, manifest, display) as follower, display:
            follower.follow(until_published=until_published)
    except KeyboardInterrupt:
        state = progress(database, run.id)
        say(
            f"Interrupted: {state.labelled:,} of {state.images:,} images have their outcome."
            " The same command goes on from there.",
            err=True,
        )
        raise


def _finish(database: Database, run: Run) -> None:
    from report.night import night_figures
    from report.terminal import print_report
    from storage.runs import get_run

    night = night_figures(database, get_run(database, run.id) or run)
    print_report(night, Screen())
    say()
    if night.progress.failed:
        say(_list_failures(database, run))
    say(f"The labels are in {database.shown}: tables `results` and `labels`.")


def _list_failures(database: Database, run: Run) -> str:
    query = f"select path, error_kind, error from results where run_id = {run.id} and status = 'failed'"  # noqa: S608 - shown, not run
    client = "sqlite3 {}" if database.is_sqlite else "psql {} -c"
    return f'What failed:  {client.format(database.shell_word)} "{query}"'


def _seconds(option: str, text: str) -> float:
    from report.words import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}.") from None
    if seconds <= 0:
        raise UsageError(f"{option}: it must be more than nothing.")
    return seconds
