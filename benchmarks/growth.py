"""What an image costs as the manifest grows: real Redis, a real database, and no model."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil
from sqlalchemy import bindparam, text

from benchmarks import runs
from benchmarks.page import Section
from broker.app import make_app
from broker.private_redis import PrivateRedis
from common.settings import as_environment, load_settings
from models.resolve import resolve
from producer.enqueue import write_manifest
from producer.lease import Lease
from producer.manifest_writer import ManifestWriter
from producer.publish import Publisher
from producer.reconcile import Reconciler
from producer.run_follower import Follower
from runner.display import Silent
from runner.supervisor import Supervisor
from storage.database import Database
from storage.identity import database_identity
from storage.records import ImageRef
from storage.runs import open_run
from storage.schema_version import ensure_schema
from storage.tables import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.records import Progress, Run

#: Finished images in the manifest at which the cost of the next ones, `WINDOW` of them, is taken.
MARKS = (10_000, 100_000, 1_000_000, 3_000_000, 10_000_000)
WINDOW = 32_000


class Moment(NamedTuple):
    """How far the run was, and what its processes had used."""

    at: float  #: seconds
    labelled: int
    cpu_s: tuple[float, ...]  #: of producer, Redis, workers
    rss_mb: tuple[float, ...]


class Recorder(Silent):
    """A display that writes down what it is told, and what the processes use."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._processes = processes
        self.moments: list[Moment] = []

    def update(self, progress: Progress, *, scanning: bool) -> None:
        del scanning
        self.moments.append(Moment(time.monotonic(), progress.labelled, self._cpu(), self._rss()))

    def note(self, sentence: str) -> None:
        print(sentence, flush=True)

    def _cpu(self) -> tuple[float, ...]:
        return tuple(sum(map(_cpu_s, _family(process))) for process in self._processes)

    def _rss(self) -> tuple[float, ...]:
        # Of a worker, the child that labels; the parent only hands out chunks.
        return tuple(max(one.memory_info().rss for one in _family(process)) / 1e6 for process in self._processes)


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process] if process.pid == os.getpid() else [process, *process.children()]


def _cpu_s(process: psutil.Process) -> float:
    """Return what the process has used, and what its children had that have ended: a worker replaces them."""
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


_PLANT = Path(__file__).with_name("plant.sql").read_text().strip().removesuffix(";").split(";")
_PLANT_AT_ONCE = 64 * 2000
#: A file's hash, in either database's words.
_CONTENT = {True: "lower(hex(randomblob(16)))", False: "md5(CAST(i AS text))"}


def _plant(database: Database, night: Run, rows: int) -> None:
    """Fill the run up with finished images to so many, as if they had been labelled."""
    at = bindparam("at", datetime.now(UTC), UtcDateTime())
    with database.read() as connection:
        count, image, chunk = connection.execute(
            text("SELECT count(*), coalesce(max(id), 0), (SELECT coalesce(max(id), 0) FROM chunks) FROM images")
        ).one()
    first = (max(image // 64, chunk) + 1) * 64  # so that neither an image nor a chunk has a number twice
    last = first + (rows - count) // 64 * 64
    for start in range(first, last, _PLANT_AT_ONCE):
        values = {
            "first": start,
            "last": min(start + _PLANT_AT_ONCE, last) - 1,
            "run": night.id,
            "model": night.model_id,
        }
        with database.write() as connection:
            for sql in _PLANT:
                statement = text(sql.replace("{content}", _CONTENT[database.is_sqlite]))
                named = {name: value for name, value in values.items() if f":{name}" in statement.text}
                connection.execute(statement.bindparams(at) if ":at" in statement.text else statement, named)
    if not database.is_sqlite:
        with database.write() as connection:
            connection.execute(text("SELECT setval(pg_get_serial_sequence('images', 'id'), max(id)) FROM images"))
            connection.execute(text("SELECT setval(pg_get_serial_sequence('chunks', 'id'), max(id)) FROM chunks"))
            connection.execute(text("ANALYZE"))  # as autovacuum does, sooner or later


def _photos(mark: int) -> Iterator[ImageRef]:
    for number in range(WINDOW):
        path = f"/volume1/photos/{100_000 + mark // 1000}-new/{number // 1000:05}/IMG_{number:08}.jpg"
        yield ImageRef(path, 3_000_000, 1_700_000_000_000_000_000 + number)


def run(rows: int, workers: int, database_url: str | None) -> dict[int, list[Moment]]:
    """Label `WINDOW` images that are not there at each mark up to `rows`; return what was written down meanwhile."""
    moments = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nightlabel-growth-")))
        redis = stack.enter_context(PrivateRedis(folder))
        settings = load_settings(
            broker_url=redis.url, database_url=database_url or f"sqlite:///{folder}/night.db", workers=workers
        )
        database = Database(settings.database_url)
        ensure_schema(database)
        ready = resolve(settings)
        night, _ = open_run(database, ready.model, engine=ready.engine, roots=["/volume1/photos"], filters={})
        worker = stack.enter_context(runs.null_worker(as_environment(settings)))
        recorder = Recorder([psutil.Process(), psutil.Process(redis.pid), psutil.Process(worker.pid)])
        for mark in (mark for mark in MARKS if mark <= rows):
            begun = time.monotonic()
            _plant(database, night, mark)
            print(f"{mark:,} rows, planted in {time.monotonic() - begun:.0f} s", flush=True)
            recorder.moments = moments[mark] = []
            writer = ManifestWriter(partial(write_manifest, database, night, settings, refs=_photos(mark)))
            identity = database_identity(database)
            app = make_app(settings, identity)
            publisher = Publisher(app, database, identity, night, settings)
            with Lease(database, night.id) as lease, writer:
                follower = Follower(
                    database,
                    night,
                    lease=lease,
                    publisher=publisher,
                    reconciler=Reconciler(app, database, identity, night, settings, publisher),
                    manifest=writer,
                    supervision=Supervisor(settings, database, night, recorder),
                    is_queue_shared=True,
                )
                follower.follow()
    return moments


def table(moments: dict[int, list[Moment]]) -> Section:
    """Return what an image cost, and what the processes held, at each mark."""
    lines = ["| manifest rows | µs per image, wall | CPU: producer | Redis | workers | MB: producer | Redis | worker |"]
    lines.append("|" + "---|" * 8)
    figures = {}
    for mark, seen in moments.items():
        # The first fifth is left out: the worker finds its pace, and the statements their way into caches.
        begin, end = next(one for one in seen if one.labelled - seen[0].labelled >= WINDOW // 5), seen[-1]
        images = end.labelled - begin.labelled
        wall = (end.at - begin.at) / images * 1e6
        cpu = [(after - before) / images * 1e6 for before, after in zip(begin.cpu_s, end.cpu_s, strict=True)]
        figures[mark] = {"wall_us": wall, "cpu_us": cpu, "rss_mb": end.rss_mb}
        cells = [f"{mark:,}", f"{wall:.1f}", *(f"{part:.1f}" for part in cpu), *(f"{mb:.0f}" for mb in end.rss_mb)]
        lines.append(f"| {' | '.join(cells)} |")
    return Section(lines, figures)
