"""The run that ties the parts together: scan, publish, keep workers alive, and follow to the end."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from archive.scan import find_roots
from broker.app import make_app
from broker.private_redis import PrivateRedis
from broker.queue import check_broker
from common.errors import UsageError
from host.machine import worker_count
from host.private_folder import private_folder
from models.resolve import resolve
from producer.enqueue import write_manifest
from runner.follower import Follower
from runner.local_workers import LocalWorkers
from runner.manifest_writer import ManifestWriter
from runner.watching import ArchiveWatch
from storage.identity import keep_to_identity
from storage.runs import open_run, set_engine
from storage.schema import ensure_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from common.settings import Settings
    from runner.display import Display
    from storage.database import Database
    from storage.records import Run


def open_scan_run(settings: Settings, paths: Sequence[str], database: Database) -> tuple[Run, bool]:
    """Return the run over these paths, made or taken up again, and whether it is new.

    Everything that can be wrong with the input is found here, before anything is enqueued.

    Raises:
        ArchiveError: a path is missing or unreadable.
        ModelError: no such model, or its weights are missing or damaged.
        DatabaseError: out of reach, or of another version.

    """
    roots = find_roots(paths)
    ready = resolve(settings)
    ensure_schema(database)
    filters = {"include": list(settings.include), "exclude": list(settings.exclude)}
    if settings.relabel:
        filters["relabel"] = ["yes"]
    if settings.no_skip:
        filters["no_skip"] = ["yes"]
    return open_run(database, ready.model, engine=ready.engine, roots=roots, filters=filters, labels=ready.categories)


def scan_writer(database: Database, run: Run, settings: Settings) -> ManifestWriter:
    return ManifestWriter(partial(write_manifest, database, run, settings))


@contextmanager
def everything(
    settings: Settings, database: Database, run: Run, manifest: ManifestWriter, display: Display
) -> Iterator[Follower]:
    """Yield a follower with all that the run needs around it, and stop all of it afterwards.

    With no broker set, Redis is a private one. The workers are this machine's, unless `workers` is 0.
    """
    if settings.broker_url is None and not worker_count(settings):
        raise UsageError("With no workers here, they must be elsewhere: set NIGHTLABEL_BROKER_URL, or use --workers 1.")
    with ExitStack() as stack:
        folder = stack.enter_context(private_folder())
        redis = None
        if settings.broker_url is None:
            redis = stack.enter_context(PrivateRedis(folder))
            settings = settings.model_copy(update={"broker_url": redis.url})
        identity = keep_to_identity(database)
        app = make_app(settings, identity)
        warning = check_broker(app)
        if warning:
            display.note(warning)
        follower = Follower(app, database, identity, run, settings, manifest, display)
        stack.callback(follower.release)
        follower.claim()
        set_engine(database, run)
        workers = LocalWorkers(settings, folder / "worker.log") if worker_count(settings) else None
        if workers:
            stack.callback(workers.stop)
            workers.start()
            follower.archive = ArchiveWatch(run.roots)
            stack.callback(follower.archive.stop)
            follower.archive.start()
        stack.callback(manifest.stop)
        manifest.start()
        follower.redis, follower.workers = redis, workers
        yield follower
