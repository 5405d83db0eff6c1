"""A worker process whose engine computes nothing and takes its time: what a database sees of one of many cores."""

from __future__ import annotations

import os
import resource
import struct
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from sqlalchemy import event

from benchmarks.planted import CHUNK_IMAGES, classes
from storage.chunk_claims import claim
from storage.database import Database
from storage.identity import database_identity
from storage.outcomes import Stored, store
from storage.records import Outcome
from vocabulary.kinds import kinds_of_labels
from worker.samples import ProcessSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from storage.records import Chunk, ChunkImage

#: Frames of SQLite's log at which a commit is followed by a checkpoint. https://sqlite.org/pragma.html#pragma_wal_autocheckpoint
_CHECKPOINT_FRAMES = 1000
#: Where the log's index says how many frames there are. https://sqlite.org/walformat.html#the_wal_index_header
_FRAMES_AT = 16


@dataclass
class Transactions:
    """What write transactions of one kind took, in seconds."""

    waited_s: list[float] = field(default_factory=list)  #: for SQLite's lock
    held_s: list[float] = field(default_factory=list)  #: from the lock, or the first statement, to the commit's end
    held_cpu_s: float = 0.0  #: CPU time in that: what is left of it is the disk, and other processes
    statements_s: float = 0.0
    commit_s: float = 0.0
    checkpoint_s: float = 0.0  #: after the commit, while others may write


class Watch:
    """Takes the times of a process's write transactions, from outside.

    Checkpoints, which SQLite makes at the end of a commit when its lock is free again, are made here in its stead, at
    the same moment: so that they are told from the time under the lock.
    """

    def __init__(self, database: Database, *pragmas: str) -> None:
        self._engine: Any = database._engine  # noqa: SLF001 - nothing in the product is for this
        self._file = database.file
        self.of = {"claim": Transactions(), "store": Transactions()}
        self._now: Transactions | None = None
        self._begun = self._asked = self._cpu_begun = 0.0
        self._commit: Callable[[Any], None] = self._engine.dialect.do_commit
        self._engine.dialect.do_commit = self._timed_commit
        event.listen(self._engine, "before_cursor_execute", self._before)
        event.listen(self._engine, "after_cursor_execute", self._after)
        if self._file:
            told = [*pragmas, "wal_autocheckpoint=0"]
            event.listen(self._engine, "connect", lambda driver, _: [driver.execute(f"PRAGMA {one}") for one in told])

    def during(self, kind: str) -> None:
        """Count what comes as transactions of a kind."""
        self._now = self.of[kind]
        self._begun = 0.0

    def _before(self, *_: object) -> None:
        self._asked = time.perf_counter()
        if not self._file and not self._begun:
            self._begun, self._cpu_begun = self._asked, time.process_time()

    def _after(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        took = time.perf_counter() - self._asked
        if self._now is None:
            return
        if statement == "BEGIN IMMEDIATE":
            self._now.waited_s.append(took)
            self._begun, self._cpu_begun = self._asked + took, time.process_time()
        elif self._begun:
            self._now.statements_s += took

    def _timed_commit(self, driver: Any) -> None:
        begun = time.perf_counter()
        self._commit(driver)
        done = time.perf_counter()
        if self._now is None or not self._begun:
            return
        self._now.held_s.append(done - self._begun)
        self._now.held_cpu_s += time.process_time() - self._cpu_begun
        self._now.commit_s += done - begun
        now, self._now, self._begun = self._now, None, 0.0  # what follows is no write transaction
        if self._file and _frames(self._file) >= _CHECKPOINT_FRAMES:
            driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            now.checkpoint_s += time.perf_counter() - done


def _frames(file: str) -> int:
    with open(f"{file}-shm", "rb") as index:
        index.seek(_FRAMES_AT)
        return int(struct.unpack("=I", index.read(4))[0])


@dataclass(frozen=True, kw_only=True)
class Done:
    """What one process did."""

    of: dict[str, Transactions]
    images: int
    last_s: float  #: by `time.monotonic`: when it stored the last of them
    late_s: list[float]  #: of each chunk: how long after its time it was stored
    cpu_s: float
    server_cpu_s: float  #: of its connection's process on the server; 0: it is not on this machine


def outcomes_of(draw: np.random.Generator, labels: Sequence[str], images: Sequence[ChunkImage]) -> Iterator[Outcome]:
    """Yield outcomes as a night has them: labels, kinds and things of a planted night, contents in no order."""
    best = classes(draw, len(labels))
    scores = np.sort(draw.dirichlet((1, 1, 1), CHUNK_IMAGES))[:, ::-1]
    stages = draw.lognormal(0, 0.4, (CHUNK_IMAGES, 3)) * (3.0, 25.0, 18.0)
    for place, image in enumerate(images):
        found = tuple((labels[best[place, rank]], float(scores[place, rank])) for rank in range(3))
        kinds = kinds_of_labels(found)
        assert kinds
        read_ms, decode_ms, infer_ms = map(float, stages[place])
        yield Outcome(
            image_id=image.image_id,
            labels=found,
            kind=kinds.kind,
            kind_score=kinds.score,
            things=kinds.things,
            width=4000,
            height=3000,
            size=3_000_000,
            mtime_ns=image.image_id,
            content=draw.bytes(16).hex(),
            read_ms=read_ms,
            decode_ms=decode_ms,
            infer_ms=infer_ms,
        )


def work(
    url: str,
    number: int,
    shares: Sequence[tuple[Chunk, Sequence[Outcome]]],
    times: tuple[float, float, float],
    pragmas: Sequence[str] = (),
) -> Done:
    """Claim and store chunks, one each time that a core would have labelled one, until the end.

    Args:
        url: of the database.
        number: of this process.
        shares: its chunks, and their outcomes.
        times: by `time.monotonic`, when the first one is begun and when no more are; and seconds that a chunk takes, 0
            to store it at once.
        pragmas: for SQLite, beside the product's own.

    """
    begin, end, chunk_s = times
    with closing(Database(url)) as database:
        watch = Watch(database, *pragmas)
        identity = database_identity(database)
        name = f"bench-{os.getppid()}/{number + 1}"
        sampler = ProcessSampler(name, os.getpid())
        sampler.newest()
        time.sleep(max(0.0, begin - time.monotonic()))
        used_s, server_used_s, images, late_s, last_s = _cpu_s(), _server_cpu_s(database), 0, [], begin
        for place, (chunk, outcomes) in enumerate(shares):
            if time.monotonic() > end:
                break
            watch.during("claim")
            claimed = claim(database, identity, chunk.id, chunk.attempt, name)
            assert claimed
            due = begin + (place + 1) * chunk_s
            time.sleep(max(0.0, due - time.monotonic()))
            watch.during("store")
            stored = store(database, claimed, outcomes, name, sampler.rows(claimed))
            assert stored is Stored.DONE
            last_s = time.monotonic()
            images += len(outcomes)
            late_s.append(last_s - due)
        return Done(
            of=watch.of,
            images=images,
            last_s=last_s,
            late_s=late_s,
            cpu_s=_cpu_s() - used_s,
            server_cpu_s=_server_cpu_s(database) - server_used_s,
        )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _server_cpu_s(database: Database) -> float:
    if database.is_sqlite:
        return 0.0
    with database.read() as connection:
        pid = connection.exec_driver_sql("select pg_backend_pid()").scalar_one()
    try:
        used = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return used.user + used.system
