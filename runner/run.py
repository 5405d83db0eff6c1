"""One run from its start to its end: scan, publish, keep workers alive, follow until every image has its outcome."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from archive.scan import find_roots
from broker.app import make_app
from broker.private_redis import PrivateRedis
from broker.queue import check_broker
from common.errors import UsageError
from host.machine import limits_in_words, machine, worker_count
from host.private_folder import private_folder
from models.engines import AUTO, needs_calibration
from models.resolve import resolve
from producer.enqueue import write_manifest
from producer.lease import Lease
from producer.manifest_writer import ManifestWriter
from producer.publish import Publisher
from producer.reconcile import Reconciler
from producer.run_follower import Follower
from runner.advice import has_choice
from runner.archive_watch import ArchiveWatch
from runner.calibration import calibrate_on
from runner.display import SILENT, RunEnd, RunStart
from runner.local_workers import LocalWorkers
from runner.look_ahead import look_ahead
from runner.supervisor import Supervisor
from runner.window import Window
from storage import runs
from storage.database import Database
from storage.identity import pin_identity
from storage.outcome_figures import shares_model
from storage.schema_version import ensure_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.settings import Settings
    from runner.display import Display
    from storage.records import Run


@dataclass(frozen=True, kw_only=True)
class OpenedRun:
    """A run that can be followed."""

    run: Run
    is_new: bool  #: False: it is resumed
    manifest: ManifestWriter  #: not started yet


def label(settings: Settings, paths: Sequence[str], display: Display = SILENT) -> RunEnd:
    """Label everything under these paths with workers of this machine; the same call resumes, or labels what is new.

    It stops at the end of the night's window where one is set (`runner.window`).

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
    window = Window(settings)
    with closing(Database(settings.database_url)) as database:
        return follow_run(settings, database, open_scan_run(settings, paths, database, display), display, window=window)


def enqueue(settings: Settings, paths: Sequence[str], display: Display = SILENT, *, wait: bool = False) -> RunEnd:
    """Put everything under these paths on the queue, for workers that run elsewhere.

    With `wait`, follow the run to its end, and publish again what gets lost.

    Raises:
        BrokerError: no broker is set, or Redis is out of reach.
        NightlabelError: as `label` does.

    """
    check_broker(make_app(settings))
    elsewhere = settings.model_copy(update={"workers": 0})
    with closing(Database(settings.database_url)) as database:
        opened = open_scan_run(elsewhere, paths, database, display)
        return follow_run(elsewhere, database, opened, display, until_published=not wait)


def open_scan_run(settings: Settings, paths: Sequence[str], database: Database, display: Display) -> OpenedRun:
    """Return the run over these paths, made or taken up again, and tell the display.

    Everything that can be wrong with the input is found here, before anything is enqueued.

    Raises:
        ArchiveError: a path is missing or unreadable.
        ModelError: no such model, or its weights are missing or damaged.
        DatabaseError: out of reach, or of another version.

    """
    if needs_calibration(settings.precision):
        display.note(f"{settings.model}: {calibrate_on(settings, paths)}.")
    roots = find_roots(paths)
    ready = resolve(settings)
    ensure_schema(database)
    filters = {"include": list(settings.include), "exclude": list(settings.exclude)}
    if settings.relabel:
        filters["relabel"] = ["yes"]
    if settings.no_skip:
        filters["no_skip"] = ["yes"]
    run, is_new = runs.open_run(
        database, ready.model, engine=ready.engine, roots=roots, filters=filters, labels=ready.categories
    )
    tell_start(display, settings, run, is_new=is_new)
    workers = worker_count(settings)
    may_choose = is_new and workers and settings.precision == AUTO and has_choice(ready)
    if may_choose and _labels_all(database, run, settings) and (told := look_ahead(settings, roots, workers)):
        display.note(told)
    return OpenedRun(run=run, is_new=is_new, manifest=ManifestWriter(partial(write_manifest, database, run, settings)))


def _labels_all(database: Database, run: Run, settings: Settings) -> bool:
    """Tell whether the run labels whatever it finds: else, as on the next evening, its archive's size tells no time."""
    with database.read() as connection:
        return settings.relabel or not shares_model(connection, run)


def tell_start(display: Display, settings: Settings, run: Run, *, is_new: bool, retried_run: int | None = None) -> None:
    """Tell a display which run is going to be followed, and with what of this machine."""
    offered = machine()
    workers = worker_count(settings, offered)
    limits = limits_in_words(settings, offered) if workers else None
    start = RunStart(run=run, is_new=is_new, retried_run=retried_run, workers=workers, cpus=offered.cpus, limits=limits)
    display.begin(start)


def follow_run(
    settings: Settings,
    database: Database,
    opened: OpenedRun,
    display: Display,
    *,
    until_published: bool = False,
    window: Window | None = None,
) -> RunEnd:
    """Follow a run with all that it needs around it, and stop all of it afterwards.

    With no broker set, Redis is a private one. The workers are this machine's, unless `workers` is 0.

    Args:
        settings: what can be set.
        database: with the run.
        opened: the run.
        display: who is told how it goes.
        until_published: only until every chunk is on the queue or done.
        window: at whose end the run is left, with the chunks in work done; None: whenever the run is over.

    Raises:
        NightlabelError: as `label` does.

    """
    run = opened.run
    try:
        is_done = _follow(settings, database, opened, display, until_published=until_published, window=window)
    except KeyboardInterrupt:
        display.interrupted(runs.progress(database, run.id))
        raise
    progress = runs.progress(database, run.id)
    stopped = None
    if window and not is_done:
        stopped = window.stopped(progress, is_scanned=opened.manifest.is_complete)
    end = RunEnd(
        run=runs.get_run(database, run.id) or run,
        progress=progress,
        enqueued=opened.manifest.enqueued,
        is_over=is_done and not until_published,
        stopped=stopped,
    )
    display.end(end)
    return end


def _follow(
    settings: Settings,
    database: Database,
    opened: OpenedRun,
    display: Display,
    *,
    until_published: bool,
    window: Window | None,
) -> bool:
    """Follow a run; return whether it was done, not left at the end of the window."""
    has_workers = worker_count(settings) > 0
    if settings.broker_url is None and not has_workers:
        raise UsageError("With no workers here, they must be elsewhere: set NIGHTLABEL_BROKER_URL, or use --workers 1.")
    run = opened.run
    with ExitStack() as stack:
        folder = stack.enter_context(private_folder())
        redis = None
        if settings.broker_url is None:
            redis = stack.enter_context(PrivateRedis(folder))
            settings = settings.model_copy(update={"broker_url": redis.url})
        identity = pin_identity(database)
        app = make_app(settings, identity)
        if warning := check_broker(app):
            display.note(warning)
        lease = stack.enter_context(Lease(database, run.id))
        runs.set_engine(database, run)
        workers = LocalWorkers(settings, folder / "worker.log") if has_workers else None
        archive = ArchiveWatch(run.roots) if has_workers else None
        supervisor = stack.enter_context(
            Supervisor(settings, database, run, display, redis=redis, workers=workers, archive=archive, window=window)
        )
        publisher = Publisher(app, database, identity, run, settings)
        follower = Follower(
            database,
            run,
            lease=lease,
            publisher=publisher,
            reconciler=Reconciler(app, database, identity, run, settings, publisher),
            manifest=stack.enter_context(opened.manifest),
            supervision=supervisor,
            is_queue_shared=redis is None,
        )
        stack.enter_context(display.live())
        return follower.follow(until_published=until_published)
