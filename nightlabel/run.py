"""The run that ties the parts together: scan, publish, keep workers alive, and follow to the end."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from broker.app import make_app
from broker.private_redis import PrivateRedis
from broker.queue import check_broker, depth
from common.errors import ArchiveError, BrokerError, DatabaseBusyError, DatabaseError, FollowedError, UsageError
from nightlabel.local_workers import LocalWorkers
from producer.enqueue import Enqueued, write_manifest
from producer.publish import Publisher, QuietWatch
from producer.scan import ScanCounts, find_roots, sample, scan
from storage.records import shown
from storage.runs import follow, open_run, progress, set_engine, unfollow
from storage.schema import ensure_schema
from worker.models import quantise_for, resolve
from worker.quantise import MAX_CALIBRATION_IMAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from celery import Celery

    from common.settings import Settings
    from nightlabel.display import Display
    from storage.database import Database
    from storage.records import Run
    from worker.quantise import Quantised

#: Seconds between two looks at a run.
_POLL_S = 0.2
#: Seconds that the scan is given to notice that it is to stop.
_STOP_S = 5.0
#: A look at a run of many chunks takes longer; then the pause is this many times as long.
_LOOKING_SHARE = 20
#: Seconds between two signs of life of a follower. One that was not heard of for four times as long is gone.
FOLLOW_EVERY_S = 5.0
#: Seconds that looking for images to calibrate on may take, on an archive of millions.
SAMPLE_S = 20.0
#: Seconds that Redis or the database may be away before a run gives up. Each try waits a second.
PATIENCE_S = 120.0


class ManifestWriter:
    """Writes a run's manifest beside the labelling, in a thread of its own."""

    def __init__(self, write: Callable[[Enqueued, threading.Event], None]) -> None:
        self._write = write
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        self.enqueued = Enqueued()
        self.is_complete = False

    def start(self) -> None:
        self._error = None
        self.enqueued = Enqueued()
        self._thread = threading.Thread(target=self._target, name="manifest", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Start again after an error of the database that passes; raise every other."""
        error = self._error
        if error is None:
            return
        if not isinstance(error, DatabaseBusyError):
            raise error
        self.start()  # what is in the manifest already is not added twice

    def stop(self) -> None:
        """Ask the writer to end. One that hangs on a dead network share is left behind: it ends with the process."""
        self._stop.set()
        if self._thread:
            self._thread.join(_STOP_S)

    def _target(self) -> None:
        try:
            self._write(self.enqueued, self._stop)
            self.is_complete = not self._stop.is_set()
        except Exception as error:  # noqa: BLE001 - carried over to the thread that follows the run
            self._error = error


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
    return open_run(database, ready.model, engine=ready.engine, roots=roots, filters=filters)


def quantise_on(settings: Settings, paths: Sequence[str], *, anew: bool = False) -> Quantised:
    """Quantise the configured model on a sample of the images under these paths, unless it is quantised already.

    Raises:
        ArchiveError: a path is missing or unreadable.
        ModelError: it disagrees with fp32 too often, or too few images can be read.

    """
    roots = find_roots(paths)

    def draw() -> list[str]:
        found = scan(roots, settings.include, settings.exclude, counts=ScanCounts())
        return [ref.path for ref in sample(found, 2 * MAX_CALIBRATION_IMAGES, SAMPLE_S).refs]

    return quantise_for(settings, draw, anew=anew)


def scan_writer(database: Database, run: Run, settings: Settings) -> ManifestWriter:
    return ManifestWriter(partial(write_manifest, database, run, settings))


@contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a folder that only this user can enter (mode 0700), and remove it afterwards.

    Raises:
        BrokerError: there is nowhere to put one.

    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="nightlabel-"))
    except OSError as error:
        raise BrokerError(f"The private Redis needs a folder for its socket: {error}. Let TMPDIR name one.") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Follower:
    """Follows a run until every image has its outcome. One at a time for a run."""

    def __init__(
        self,
        app: Celery,
        database: Database,
        run: Run,
        settings: Settings,
        manifest: ManifestWriter,
        display: Display,
    ) -> None:
        self._app = app
        self._database = database
        self._run = run
        self._publisher = Publisher(app, database, run, settings)
        self._manifest = manifest
        self._display = display
        self._quiet = QuietWatch()
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._heard_at = 0.0
        self._look_at = 0.0
        self._told = False
        self.redis: PrivateRedis | None = None
        self.workers: LocalWorkers | None = None

    def follow(self, *, until_published: bool = False) -> None:
        """Publish, look, and publish again what got lost, until every image has its outcome.

        With `until_published`, only until every chunk is on the queue or done.

        Raises:
            FollowedError: another command follows this run.
            NightlabelError: something is wrong that waiting does not cure.

        """
        reconciled = False
        good_at = time.monotonic()
        while True:
            try:
                self.claim()
                self._manifest.check()
                self._keep_redis_alive()
                if not reconciled:
                    self._publisher.reconcile()  # what an earlier run, or a trouble just over, left behind
                    reconciled = True
                if self._step(until_published=until_published):
                    return
                good_at = time.monotonic()
            except (BrokerError, DatabaseBusyError) as error:
                if time.monotonic() - good_at > PATIENCE_S:
                    raise
                reconciled = False
                self._display.note(f"{error} Trying again.")
                time.sleep(1)

    def claim(self) -> None:
        """Say that this process follows the run; two would publish the same chunks over and over.

        Raises:
            FollowedError: another process does.

        """
        if time.monotonic() - self._heard_at < FOLLOW_EVERY_S:
            return
        other = follow(self._database, self._run.id, self._name, patience=timedelta(seconds=4 * FOLLOW_EVERY_S))
        if other and not self._is_dead(other):
            raise FollowedError(f"Run {self._run.id} is followed by {other} already. Wait for it, or end that process.")
        if other:
            unfollow(self._database, self._run.id, other)
            follow(self._database, self._run.id, self._name, patience=timedelta())
        self._heard_at = time.monotonic()

    def release(self) -> None:
        """Let the next command follow the run at once."""
        with suppress(DatabaseError):  # then it waits until this process is seen to be gone
            unfollow(self._database, self._run.id, self._name)

    def _is_dead(self, follower: str) -> bool:
        """Tell whether a follower was a process of this host that has ended; of other hosts nobody here knows."""
        host, _, pid = follower.rpartition(":")
        return host == socket.gethostname() and not psutil.pid_exists(int(pid))

    def _keep_redis_alive(self) -> None:
        if self.redis and not self.redis.is_running():
            self._display.note("The private Redis ended; starting it again.")
            self.redis.start()

    def _step(self, *, until_published: bool) -> bool:
        """Do what there is to do now; return whether the run has come to its end."""
        published = self._publisher.publish_waiting()
        begun = time.monotonic()
        if published and begun < self._look_at:
            return False
        scanned = self._manifest.is_complete  # before the counting: afterwards it may be complete, and not counted
        state = progress(self._database, self._run.id)
        pause = min(max(_POLL_S, (time.monotonic() - begun) * _LOOKING_SHARE), FOLLOW_EVERY_S)
        self._look_at = time.monotonic() + pause
        self._display.update(state, scanning=not scanned)
        if scanned:
            self._tell_left_out()
            self._refuse_empty(state.images)
            if state.chunks_done == state.chunks:
                return True
            if until_published and not state.chunks_waiting:
                return not self._publisher.reconcile()
        if self.workers:
            sentence = self.workers.keep_alive(state.chunks_done)
            if sentence:
                self._display.note(f"{sentence}.")
        if not published and self._quiet.is_quiet(state.chunks_done, depth(self._app)):
            lost = self._publisher.reconcile()
            if lost:
                self._display.note(f"{lost} chunks got lost with a worker or on the way; they are published again.")
        if not published:
            time.sleep(pause)
        return False

    def _tell_left_out(self) -> None:
        """Say, once, what the scan could not read or would not follow."""
        if self._told:
            return
        self._told = True
        counts = self._manifest.enqueued.scan
        if counts.unreadable:
            self._display.note(f"{counts.unreadable:,} files or folders could not be read, and are left out.")
        if counts.links:
            self._display.note(f"{counts.links:,} links lead to folders or out of the archive, and are left out.")

    def _refuse_empty(self, images: int) -> None:
        enqueued = self._manifest.enqueued
        if images or enqueued.up_to_date:
            return
        others = f" {enqueued.scan.ignored:,} files there are no images." if enqueued.scan.ignored else ""
        raise ArchiveError(f"There is no image to label in {', '.join(map(shown, self._run.roots))}.{others}")


@contextmanager
def everything(
    settings: Settings, database: Database, run: Run, manifest: ManifestWriter, display: Display
) -> Iterator[Follower]:
    """Yield a follower with all that the run needs around it, and stop all of it afterwards.

    With no broker set, Redis is a private one. The workers are this machine's, unless `workers` is 0.
    """
    if settings.broker_url is None and not settings.worker_count:
        raise UsageError("With no workers here, they must be elsewhere: set NIGHTLABEL_BROKER_URL, or use --workers 1.")
    with ExitStack() as stack:
        folder = stack.enter_context(private_folder())
        redis = None
        if settings.broker_url is None:
            redis = stack.enter_context(PrivateRedis(folder))
            settings = settings.model_copy(update={"broker_url": redis.url})
        app = make_app(settings)
        check_broker(app)
        follower = Follower(app, database, run, settings, manifest, display)
        stack.callback(follower.release)
        follower.claim()
        set_engine(database, run)
        workers = LocalWorkers(settings, folder / "worker.log") if settings.worker_count else None
        if workers:
            stack.callback(workers.stop)
            workers.start()
        stack.callback(manifest.stop)
        manifest.start()
        follower.redis, follower.workers = redis, workers
        yield follower
