"""How many cores a database keeps up with: processes that label nothing, and store as much as real ones would."""

from __future__ import annotations

import gc
import multiprocessing
import os
import tempfile
import time
from contextlib import closing
from statistics import quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.measured import middle
from benchmarks.page import Section
from benchmarks.planted import CHUNK_IMAGES, planted_night
from benchmarks.simulated_worker import Watch, outcomes_of, work
from storage.chunk_claims import chunk_images
from storage.database import Database
from storage.manifest import add_images, mark_published
from storage.records import ImageRef
from storage.runs import get_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.simulated_worker import Done, Transactions
    from storage.records import Chunk, Outcome

#: Images a second that a core labels: one with AMX, in bf16.
CORE_SPEED = 300.0
PROCESSES = (1, 2, 4, 8, 16, 32, 64)
#: Of each of them.
SECONDS = 10.0
#: Images a second that no database stores here: no more are made ready.
_MOST_SPEED = 8_000.0
#: Chunks that one process stores without a pause, by turns with and without waiting for the disk.
_ALONE_CHUNKS, _ROUNDS = 60, 3
#: Images that are offered to the manifest at once, as the producer does.
_OFFERED = 5_000

#: What forked processes work on, so that it is not sent to them.
_shares: list[list[tuple[Chunk, list[Outcome]]]] = []


class Alone(NamedTuple):
    """What one process took that stored without a pause, in µs per image."""

    claim: float  #: under the lock, or in the transaction
    statements: float  #: in the transaction of `store`
    python: float  #: between them
    commit: float
    held_cpu: float  #: in all of that
    checkpoint: float
    cpu: float
    server_cpu: float

    @property
    def held(self) -> float:
        return self.claim + self.statements + self.python + self.commit


def measure(rows: int, database_url: str | None) -> Section:
    """Plant a night of so many images, and label more.

    Raises:
        SystemExit: the database is not empty.

    """
    with tempfile.TemporaryDirectory(prefix="nightlabel-many-") as folder:
        with planted_night(rows, database_url, folder) as (_, url):
            pass
        is_sqlite = database_url is None
        publishing = _make_ready(url, 1, _ALONE_CHUNKS)[1]
        settings: dict[str, tuple[str, ...]] = {"as it is": ()}
        if is_sqlite:
            settings["without fsync"] = ("synchronous=OFF",)
        alone = {name: [_alone(url, pragmas) for _ in range(_ROUNDS)] for name, pragmas in settings.items()}
        medians = {name: Alone(*map(middle, zip(*found, strict=True))) for name, found in alone.items()}
        many = {processes: _at_once(url, processes) for processes in PROCESSES}
    lines = [f"{rows:,} images are there already.", "", *_alone_table(medians, publishing, is_sqlite=is_sqlite), ""]
    lines += _many_table(many, is_sqlite=is_sqlite)
    figures = {"rows": rows, "publishing_us": publishing, "alone_us": {k: v._asdict() for k, v in medians.items()}}
    return Section(lines, {**figures, "many": many})


def _make_ready(url: str, processes: int, chunks_each: int) -> tuple[int, float]:
    """Put new images into the manifest and make up their outcomes; return how many, and µs under the lock for each."""
    gc.collect()
    count = processes * chunks_each * CHUNK_IMAGES
    draw = np.random.default_rng(time.time_ns())
    with closing(Database(url)) as database:
        watch = Watch(database)
        run = get_run(database, 1)
        assert run
        folder = f"/volume1/photos/{time.time_ns()}"
        refs = [ImageRef(f"{folder}/{number // 500:05}/{number:07}.jpg", 3_000_000, number) for number in range(count)]
        held = watch.of["claim"]
        for start in range(0, count, _OFFERED):
            watch.during("claim")
            add_images(database, run, refs[start : start + _OFFERED], chunk_size=CHUNK_IMAGES, relabel=False)
        watch.during("claim")
        chunks = mark_published(database, run.id, count)
        with database.read() as connection:
            labels = (
                connection.exec_driver_sql("select label from categories where model_id = 1 order by class_index")
                .scalars()
                .all()
            )
            ready = [(chunk, list(outcomes_of(draw, labels, chunk_images(connection, chunk.id)))) for chunk in chunks]
    _shares[:] = [ready[number::processes] for number in range(processes)]
    return count, sum(held.held_s) / count * 1e6


def _fork(url: str, processes: int, seconds: float, chunk_s: float, pragmas: Sequence[str]) -> tuple[float, list[Done]]:
    """Have so many processes work at once, their chunks spread over time; return when they began, and what they did."""
    gc.freeze()
    begin = time.monotonic() + 1.0 + processes / 20
    calls = [
        (url, number, (begin + number / processes * chunk_s, begin + seconds, chunk_s), pragmas)
        for number in range(processes)
    ]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return begin, pool.starmap(_work, calls, chunksize=1)


def _work(url: str, number: int, times: tuple[float, float, float], pragmas: Sequence[str]) -> Done:
    return work(url, number, _shares[number], times, pragmas)


def _alone(url: str, pragmas: Sequence[str]) -> Alone:
    _make_ready(url, 1, _ALONE_CHUNKS)
    _, (done,) = _fork(url, 1, 600.0, 0.0, pragmas)
    claimed, stored = done.of["claim"], done.of["store"]
    parts = (
        sum(claimed.held_s),
        stored.statements_s,
        sum(stored.held_s) - stored.statements_s - stored.commit_s,
        stored.commit_s,
        claimed.held_cpu_s + stored.held_cpu_s,
        claimed.checkpoint_s + stored.checkpoint_s,
        done.cpu_s,
        done.server_cpu_s,
    )
    return Alone(*(seconds / done.images * 1e6 for seconds in parts))


def _at_once(url: str, processes: int) -> dict[str, Any]:
    chunk_s = CHUNK_IMAGES / CORE_SPEED
    wanted = CORE_SPEED * processes
    chunks_each = max(1, round(min(wanted, _MOST_SPEED) * SECONDS / processes / CHUNK_IMAGES))
    _make_ready(url, processes, chunks_each)
    begin, done = _fork(url, processes, SECONDS, chunk_s, ())
    took_s = max(one.last_s for one in done) - begin
    images = sum(one.images for one in done)
    both: list[Transactions] = [kind for one in done for kind in one.of.values()]
    waited_s = [seconds for kind in both for seconds in kind.waited_s]
    return {
        "wanted_per_s": wanted,
        "images_per_s": images / took_s,
        "lock_share": sum(sum(kind.held_s) for kind in both) / took_s,
        "held_us": sum(sum(kind.held_s) for kind in both) / images * 1e6,
        "waited_ms_p50_p99": _p50_p99(waited_s),
        "late_ms_p50_p99": _p50_p99([seconds for one in done for seconds in one.late_s]),
        "cpu_share": sum(one.cpu_s + one.server_cpu_s for one in done) / took_s / (os.cpu_count() or 1),
        "cpu_us": sum(one.cpu_s for one in done) / images * 1e6,
        "server_cpu_us": sum(one.server_cpu_s for one in done) / images * 1e6,
    }


def _p50_p99(seconds: Sequence[float]) -> tuple[float, float]:
    if len(seconds) < 2:
        return 0.0, 0.0
    hundredths = quantiles(seconds, n=100, method="inclusive")
    return hundredths[49] * 1000, hundredths[98] * 1000


def _alone_table(medians: dict[str, Alone], publishing: float, *, is_sqlite: bool) -> list[str]:
    where = "under the lock" if is_sqlite else "in its transactions"
    rows = {
        "putting it into the manifest, and publishing": [publishing] * len(medians),
        "claiming": [one.claim for one in medians.values()],
        "storing: statements": [one.statements for one in medians.values()],
        "storing: Python between them": [one.python for one in medians.values()],
        "storing: commit": [one.commit for one in medians.values()],
    }
    together = [publishing + one.held for one in medians.values()]
    rows[f"**{where}, together**"] = together
    rows["CPU time of claiming and storing in that"] = [one.held_cpu for one in medians.values()]
    if is_sqlite:
        rows["checkpoints, beside the lock"] = [one.checkpoint for one in medians.values()]
    rows["CPU time of the worker"] = [one.cpu for one in medians.values()]
    if not is_sqlite:
        rows["CPU time of the server"] = [one.server_cpu for one in medians.values()]
    lines = [f"| one process, µs per image {where} | {' | '.join(medians)} |", "|---|" + "---|" * len(medians)]
    lines += [f"| {name} | {' | '.join(f'{value:.1f}' for value in values)} |" for name, values in rows.items()]
    cores = 1e6 / together[0] / CORE_SPEED
    if is_sqlite:
        lines += ["", f"One lock, {together[0]:.0f} µs per image: {cores:.0f} cores of {CORE_SPEED:.0f} images/s each."]
    return lines


def _many_table(many: dict[int, dict[str, Any]], *, is_sqlite: bool) -> list[str]:
    names = ["processes", "wanted, images/s", "stored, images/s"]
    names += ["lock in use", "held, µs per image", "waited for it, ms, p50 – p99"] if is_sqlite else []
    names += ["stored late, ms, p50 – p99", "CPU in use", "CPU µs per image: worker"]
    names += [] if is_sqlite else ["server"]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for processes, one in many.items():
        cells = [f"{processes}", f"{one['wanted_per_s']:,.0f}", f"{one['images_per_s']:,.0f}"]
        if is_sqlite:
            cells += [f"{one['lock_share']:.0%}", f"{one['held_us']:.0f}", _from_to(one["waited_ms_p50_p99"])]
        cells += [_from_to(one["late_ms_p50_p99"]), f"{one['cpu_share']:.0%}", f"{one['cpu_us']:.0f}"]
        cells += [] if is_sqlite else [f"{one['server_cpu_us']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _from_to(two: tuple[float, float]) -> str:
    return f"{two[0]:,.1f} – {two[1]:,.1f}"
