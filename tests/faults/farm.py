"""A farm to break: a producer, workers, a Redis and a database, each a process that can be killed."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from sqlalchemy import text

from broker.app import make_app
from broker.queue import depth, held_tasks, queued_ids, unacknowledged, unacknowledged_tags, workers
from common.errors import DatabaseError
from common.settings import load_settings
from storage.database import Database
from tests.command import LONG_S, wait_until, wait_until_gone
from tests.unit.broker.queues import key_of

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from celery import Celery

    from broker.private_redis import PrivateRedis
    from tests.command import Nightlabel

PLANTED = Path(__file__).with_name("planted")
#: Seconds after which an unacknowledged message is delivered again, to workers that are started with `SOON_AGAIN`: far
#: less than any that users can set.
VISIBILITY_S = 4
SOON_AGAIN = {"VISIBILITY_S": str(VISIBILITY_S)}


def plant(photo: Path, fault: str) -> None:
    """Give an image a fault that happens whenever it is decoded: `segfault`, `hang`, `memory` or `kill`."""
    with photo.open("ab") as file:
        file.write(f"FAULT:{fault}".encode())


@dataclass
class Farm:
    """The parts of a farm, by the environment that they share."""

    nightlabel: Nightlabel
    database_url: str
    broker_url: str

    def __post_init__(self) -> None:
        faults = self.nightlabel.folder / "faults"
        faults.mkdir()
        self.faults = faults
        self.nightlabel.environment |= {
            "NIGHTLABEL_BROKER_URL": self.broker_url,
            "NIGHTLABEL_DATABASE_URL": self.database_url,
            "PYTHONPATH": str(PLANTED),
            "FAULTS": str(faults),
        }

    def plant(self, fault: str, times: int = 1) -> None:
        """Have a fault of the workers' happen so many times, in those that are started with FAULT=`fault`."""
        for number in range(times):
            (self.faults / f"{fault}-{number}").touch()

    def wait_until_none_is_left(self) -> None:
        """Wait until every planted fault has happened."""
        self._wait_until(lambda: not self.faults_left() or None, LONG_S)

    def start_held_worker(self, concurrency: int = 1, /, **environment: str) -> Worker:
        """Start a worker of which one process stands still over its first chunk: no run ends before `go_on`."""
        self.plant("stand-still")
        return self.start_worker(concurrency, FAULT="stand-still", **environment)

    def go_on(self) -> None:
        """Let the workers go on that the fault `stand-still` has stopped."""
        (self.faults / "go-on").touch()

    def faults_left(self) -> int:
        return len(list(self.faults.iterdir()))

    def start_worker(self, concurrency: int = 1, /, **environment: str) -> Worker:
        process = self.nightlabel.start("worker", "--concurrency", concurrency, **environment)
        return Worker(process, self)

    def enqueue(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.nightlabel("enqueue", *arguments, **environment)

    def follow(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        """Start a producer that follows the run to its end."""
        return self.nightlabel.start("enqueue", *arguments, "--wait", **environment)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database; `[]` while it does not answer or has no tables yet."""
        with closing(Database(load_settings(database_url=self.database_url).database_url)) as database:
            try:
                with database.read() as connection:
                    return [tuple(row) for row in connection.execute(text(query))]
            except DatabaseError:
                return []

    def count(self, what: str = "outcomes") -> int:
        """Count the rows of a table, and of conditions on it."""
        rows = self.ask(f"select count(*) from {what}")
        return int(rows[0][0]) if rows else 0

    def wait_for(self, count: int, what: str = "outcomes", timeout_s: float = LONG_S) -> None:
        self._wait_until(lambda: self.count(what) >= count or None, timeout_s)

    def _wait_until(self, reached: Callable[[], object], timeout_s: float) -> None:
        try:
            wait_until(reached, timeout_s)
        except TimeoutError:
            pytest.fail(f"not within {timeout_s:g} s. {self._state()}")

    def _state(self) -> str:
        """Say what the database, Redis and the workers say, for whoever reads why a test failed."""
        app = self.app()
        held = held_tasks(app)
        open_chunks = self.ask("select id, attempt, starts, published_at, started_at from chunks where done_at is null")
        return (
            f"{self.count()} of {self.count('manifest')} images labelled; open chunks: {open_chunks};"
            f" on the queue: {queued_ids(app)}; unacknowledged: {unacknowledged_tags(app)}; held: {held}"
        )

    def app(self) -> Celery:
        """Return a way to the database's queue."""
        return make_app(load_settings(broker_url=self.broker_url), self.identity())

    def key(self) -> str:
        """Return the key of the database's queue, as `redis-cli` shows it."""
        return key_of(self.identity())

    def identity(self) -> str:
        """Return the identity of the database, once the command that makes it has done so."""
        ((identity,),) = wait_until(lambda: self.ask("select uuid from identity") or None)
        return str(identity)

    def kinds(self) -> dict[str, str]:
        """Return `ok` or the kind of failure, by the file's name."""
        return {
            Path(path).name: kind for path, kind in self.ask("select path, coalesce(error_kind, status) from results")
        }

    def errors(self) -> list[str]:
        return [error for (error,) in self.ask("select error from results where status = 'failed'")]

    def stored(self) -> list[tuple[Any, ...]]:
        """Return who has stored each image's outcome, when, and in which chunk."""
        return self.ask("select image_id, chunk_id, worker, labelled_at from outcomes order by image_id")

    def extra_starts(self) -> int:
        (starts,) = self.ask("select coalesce(sum(starts), 0) - count(*) from chunks")[0]
        return int(starts)

    def assert_whole(self, images: int, *, newest_run: int | None = None) -> None:
        """Hold what must be true after every fault.

        Every image of the manifest has exactly one outcome, nothing is left in Redis, and the report counts the same:
        `images`, or those of the newest run, where there were several.
        """
        assert self.count("manifest") == images
        assert self.count() == images
        assert self.count("manifest m join outcomes o on o.image_id = m.image_id and o.run_id = m.run_id") == images
        assert self.ask("select sum(images), sum(ok + failed) from chunks") == [(images, images)]
        assert self.count("chunks where done_at is null") == 0
        app = self.app()
        # The last acknowledgement follows the commit, and the producer may have ended in between.
        self._wait_until(lambda: (depth(app), unacknowledged(app)) == (0, 0) or None, LONG_S)
        report = json.loads(self.nightlabel("report", "--json").stdout)
        failed = self.count(f"outcomes where status = 'failed' and run_id = {report['run']['id']}")
        assert (report["images"]["total"], report["images"]["failed"]) == (newest_run or images, failed)


@dataclass
class Worker:
    """A worker: the main process, and its labelling children."""

    process: subprocess.Popen[str]
    farm: Farm

    def children(self) -> Sequence[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def wait_until_ready(self) -> None:
        """Wait until the worker has asked Redis for a message: it answers to its name by then."""
        app = self.farm.app()
        wait_until(lambda: any(f"-{self.process.pid}@" in name for name in workers(app)) or None)

    def kill(self) -> None:
        """SIGKILL to the main process; the kernel kills its children with it."""
        children = self.children()
        self.process.kill()
        self.process.wait()
        wait_until_gone(children)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> str:
        """Send a signal, and wait until the worker and its children are gone; return what it wrote to its log."""
        if self.process.poll() is not None:
            return self.process.communicate()[1]
        children = self.children()
        self.process.send_signal(sign)
        _, errors = self.process.communicate(timeout=LONG_S)
        wait_until_gone(children)
        return errors


def wait_for_end(process: subprocess.Popen[str], *, status: int = 0) -> str:
    """Wait until a process ends, with this exit status; return what it wrote to its log."""
    _, errors = process.communicate(timeout=LONG_S)
    assert process.returncode == status, errors
    return errors


def wait_to_say(process: subprocess.Popen[str], words: str) -> None:
    """Wait until a process writes a line with these words to its log."""
    assert process.stderr
    assert any(words in line for line in process.stderr), f"it ended and never said: {words}"


def kill_redis(redis: PrivateRedis) -> None:
    assert redis.pid
    os.kill(redis.pid, signal.SIGKILL)
    wait_until(lambda: not redis.is_running() or None)
