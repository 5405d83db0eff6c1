"""How fast a producer is: with images that are new, and over again with images that have their labels."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import event

from archive.counts import ScanCounts
from archive.scan import scan
from benchmarks import runs
from benchmarks.measured import middle
from benchmarks.page import Section
from broker.app import make_app
from broker.private_redis import PrivateRedis
from common.settings import load_settings
from models.resolve import resolve
from producer.enqueue import Enqueued, write_manifest
from producer.publish import Publisher
from storage.database import Database
from storage.identity import database_identity
from storage.runs import open_run
from storage.schema_version import ensure_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

#: How often the archive is enqueued once it is known: two seconds each, of which a disk's own work may take one.
_KNOWN_ROUNDS = 3


def measure(weights_dir: Path, files: int, database_url: str | None) -> Section:
    """Enqueue an archive of empty files; have a worker without a model finish them; and enqueue it again."""
    with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as name, PrivateRedis(Path(name)) as redis:
        folder = Path(name)
        archive = _touch(folder / "archive", files)
        variables = runs.environment(weights_dir) | {
            "NIGHTLABEL_BROKER_URL": redis.url,
            "NIGHTLABEL_DATABASE_URL": database_url or f"{folder}/night.db",
            "NIGHTLABEL_QUEUE_LIMIT": str(files),  # nobody takes anything meanwhile
        }
        (archive / "one").mkdir()
        _touch(archive / "one", 1)
        _enqueue(archive / "one", variables)  # the first one on a machine prepares the model
        start_s = _enqueue(archive / "one", variables)
        new_s = _enqueue(archive, variables) - start_s
        with runs.null_worker(variables):
            _enqueue(archive, variables, "--wait")
        again_s = middle([_enqueue(archive, variables) for _ in range(_KNOWN_ROUNDS)]) - start_s
        parts = {} if database_url else _parts(archive, files, redis.url, folder, weights_dir)
    lines = ["| | seconds | images/s |", "|---|---|---|"]
    lines.append(f"| {files:,} new images: scan, manifest, queue | {new_s:.1f} | {files / new_s:,.0f} |")
    lines.append(f"| the same again, once they have labels | {again_s:.1f} | {files / again_s:,.0f} |")
    lines.append(f"| start-up and shutdown of `nightlabel enqueue`, not included above | {start_s:.1f} | |")
    if parts:
        lines += ["", "| where a new image's time goes | µs per image |", "|---|---|"]
    lines += [f"| {name} | {us:.1f} |" for name, us in parts.items()]
    return Section(lines, {"files": files, "start_s": start_s, "new_s": new_s, "again_s": again_s, "parts_us": parts})


def _parts(archive: Path, files: int, broker_url: str, folder: Path, weights_dir: Path) -> dict[str, float]:
    """Return what an image costs in each step, on SQLite: this process' CPU time; of the lock, how long it is held.

    Here the steps come one after the other. In the command they are threads, and take turns only where Python runs.
    """
    url = f"sqlite:///{folder}/parts.db"
    settings = load_settings(broker_url=broker_url, database_url=url, queue_limit=files, weights_dir=weights_dir)
    database = Database(settings.database_url)
    ensure_schema(database)
    ready = resolve(settings)
    night, _ = open_run(database, ready.model, engine=ready.engine, roots=[str(archive)], filters={})
    identity = database_identity(database)
    publisher = Publisher(make_app(settings, identity), database, identity, night, settings)
    locked = _Locked(database)
    refs = list(scan([str(archive)], counts=ScanCounts()))

    def publish() -> None:
        while publisher.publish_waiting():
            pass

    def write() -> None:
        write_manifest(database, night, settings, Enqueued(), threading.Event(), refs=refs)

    listed = _cpu_us(lambda: deque(scan([str(archive)], counts=ScanCounts()), maxlen=0), files)
    written = _cpu_us(write, files)
    held = locked.seconds / files * 1e6
    return {
        "scan: list, stat": listed,
        "manifest: JSON, SQL, commit": written,
        "SQLite's write lock, held with the wait for the disk": held,
        "queue: a message per chunk": _cpu_us(publish, files),
    }


def _cpu_us(work: Callable[[], object], files: int) -> float:
    begun = time.process_time()
    work()
    return (time.process_time() - begun) / files * 1e6


class _Locked:
    """How long transactions that write have had SQLite's write lock: from BEGIN IMMEDIATE to the end of COMMIT."""

    def __init__(self, database: Database) -> None:
        self.seconds = 0.0
        self._begun = 0.0
        event.listen(database._engine, "begin", self._begin)  # noqa: SLF001 - as nobody else needs to
        event.listen(database._engine, "checkin", self._end)  # noqa: SLF001

    def _begin(self, connection: Connection) -> None:
        if connection.get_execution_options().get("nightlabel_write"):
            self._begun = time.monotonic()

    def _end(self, _connection: object, _record: object) -> None:
        if self._begun:
            self.seconds += time.monotonic() - self._begun
            self._begun = 0.0


def _touch(folder: Path, files: int) -> Path:
    """Make so many empty files, a thousand in a folder: a producer looks at names, sizes and times."""
    for number in range(files):
        if number % 1000 == 0:
            (folder / f"{number // 1000:05}").mkdir(parents=True)
        (folder / f"{number // 1000:05}" / f"IMG_{number:08}.jpg").touch()
    return folder


def _enqueue(archive: Path, variables: Mapping[str, str], *options: str) -> float:
    begun = time.monotonic()
    runs.checked([sys.executable, "-P", "-m", "nightlabel", "enqueue", str(archive), *options], variables)
    return time.monotonic() - begun
