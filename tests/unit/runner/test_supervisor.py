"""What is kept alive beside a run, and what ends it: real Redis, real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.errors import ArchiveError, BrokerBusyError, DatabaseBusyError
from common.settings import load_settings
from runner.display import Silent
from runner.failure_watch import FAILURE_WINDOW
from runner.local_workers import LocalWorkers
from runner.supervisor import REDIS_SILENT_S, Supervisor
from storage.database import Database
from storage.records import Progress
from storage.schema_version import ensure_schema
from tests.faults.farm import kill_redis
from tests.unit.storage.nights import add, ask, begin_run, label_all, photos

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from storage.records import Run


class Notes(Silent):
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, sentence: str) -> None:
        self.said.append(sentence)


class Counted(LocalWorkers):
    """Workers whose starts and stops are counted, and that need no process for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(load_settings(), folder / "worker.log")
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def restart(self) -> None:
        self.calls.append("restart")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'night.db'}")
    ensure_schema(database)
    yield database
    database.close()


@pytest.fixture
def run(database: Database) -> Run:
    return begin_run(database)


@pytest.fixture
def notes() -> Notes:
    return Notes()


def test_a_private_redis_that_ended_is_started_again(
    database: Database, run: Run, notes: Notes, redis: PrivateRedis
) -> None:
    with Supervisor(load_settings(), database, run, notes, redis=redis) as supervisor:
        kill_redis(redis)
        supervisor.keep_alive()
        assert redis.is_running()
        supervisor.keep_alive()
    assert notes.said == ["The private Redis ended; starting it again."]


def test_a_private_redis_that_hangs_is_stopped_so_that_it_is_started_anew(
    database: Database, run: Run, notes: Notes, redis: PrivateRedis
) -> None:
    supervisor = Supervisor(load_settings(), database, run, notes, redis=redis)
    supervisor.endure(BrokerBusyError("away"), REDIS_SILENT_S)
    assert redis.is_running()
    supervisor.endure(BrokerBusyError("away"), REDIS_SILENT_S + 1)
    assert not redis.is_running()


def test_workers_that_may_lock_sqlite_are_started_again_once_an_outage(
    database: Database, run: Run, notes: Notes, tmp_path: Path
) -> None:
    workers = Counted(tmp_path)
    settings = load_settings()
    with Supervisor(settings, database, run, notes, workers=workers) as supervisor:
        for away_s in (1, settings.stall_limit_s + 1, settings.stall_limit_s + 2):
            supervisor.endure(DatabaseBusyError("locked"), away_s)
        supervisor.observe(Progress(), scanning=True)  # it is over
        supervisor.endure(DatabaseBusyError("locked"), settings.stall_limit_s + 1)

    assert workers.calls == ["start", "restart", "restart", "stop"]


def test_where_most_images_fail_the_run_stops_and_the_next_one_tries_them_again(
    database: Database, run: Run, notes: Notes
) -> None:
    add(database, run, photos(2))
    label_all(database, run, failing=["/photos/00000.jpg"])
    whole = Progress(images=5000, ok=0, failed=0)
    with Supervisor(load_settings(), database, run, notes) as supervisor:
        supervisor.observe(whole, scanning=False)
        with pytest.raises(ArchiveError, match=r"60% failed; most of this run are `damaged`, like /photos/00000.jpg"):
            supervisor.observe(
                Progress(images=5000, ok=FAILURE_WINDOW * 2 // 5, failed=FAILURE_WINDOW * 3 // 5), scanning=False
            )
        assert ask(database, "select count(*) from outcomes where mtime_ns is null") == [(0,)]

    assert ask(database, "select error_kind from outcomes where mtime_ns is null") == [("damaged",)]


def test_a_run_of_few_failures_leaves_them_failed(database: Database, run: Run, notes: Notes) -> None:
    add(database, run, photos(2))
    label_all(database, run, failing=["/photos/00000.jpg"])
    with Supervisor(load_settings(), database, run, notes) as supervisor:
        supervisor.observe(Progress(images=5000, ok=0, failed=0), scanning=False)
        supervisor.observe(Progress(images=5000, ok=FAILURE_WINDOW, failed=10), scanning=False)

    assert ask(database, "select count(*) from outcomes where mtime_ns is null") == [(0,)]
