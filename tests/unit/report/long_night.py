"""A long night with thousands of images, written straight into the tables, with faults that the report must find."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from storage.runs import mark_scanned
from storage.tables import chunks, images, manifest, outcomes, samples, workers
from tests.unit.report.planted import EVENING
from tests.unit.storage.nights import MODEL, begin_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from storage.database import Database
    from storage.records import Model, Run

LABELS = ("tabby", "golden retriever", "seashore", "pizza", "church")
#: Two label; the third is the main process above them.
PROCESSES = ("host-7/1", "host-7/2", "host-7")
CHUNK_IMAGES = 10
SAMPLE_EVERY_S = 5
#: An image's stages in milliseconds, on average.
STAGES_MS = {"queue": 900.0, "read": 3.0, "decode": 200.0, "infer": 250.0}


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong in the night."""

    leak_mb_an_hour: float = 0.0  #: of the second worker
    stall: tuple[timedelta, timedelta] | None = None  #: since the evening: when it begins, and how long it is
    slow_worker: bool = False  #: the second one takes three times as long
    failing_folder: bool = False  #: all of the third folder fails
    replaced_child: bool = False  #: the second worker is another process from the middle on
    extra_starts: int = 0  #: of the first chunk
    memory_steps_mb: float = 0.0  #: of the second worker: what it takes at once in the last fifth of the night
    queue_ahead: timedelta = timedelta(seconds=1)  #: how long before its start a chunk is published
    pause: timedelta = timedelta()  #: nothing is in work for so long, in the middle of the night
    chunk_s: float = 5.0  #: seconds that a chunk takes
    copies: int = 0  #: files with the bytes of the first one


def plant_long(
    database: Database, *, hours: float = 0.5, faults: Faults | None = None, model: Model = MODEL, root: str = "/night"
) -> Run:
    """Plant a run of two workers that label, without a pause, for so long; each run an evening after the one before."""
    faults = faults or Faults()
    run = begin_run(database, model, root=root)
    draw = random.Random(11)  # noqa: S311 - the same night every time
    rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in (images, chunks, manifest, outcomes)}
    begin = EVENING + timedelta(days=run.id - 1)
    end = begin + timedelta(hours=hours)
    with database.write() as connection:
        first_image = (connection.exec_driver_sql("select coalesce(max(id), 0) from images").scalar() or 0) + 1
        first_chunk = (connection.exec_driver_sql("select coalesce(max(id), 0) from chunks").scalar() or 0) + 1
        for number, (worker, started, done) in enumerate(_chunks(faults, begin, end)):
            _plant_chunk(rows, run, draw, faults, first_image, first_chunk + number, number, worker, started, done)
        for table in (images, chunks, manifest, outcomes):
            connection.execute(insert(table), rows[table])
        process_rows = [row for name in PROCESSES for row in _samples(name, faults, begin, end, draw)]
        connection.execute(insert(samples), process_rows)
        if not connection.exec_driver_sql("select count(*) from workers").scalar():
            connection.execute(insert(workers), [_worker(name, begin, end) for name in PROCESSES[:2]])
    mark_scanned(database, run.id, skipped=0, ignored=0)
    return run


def _chunks(faults: Faults, begin: datetime, end: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    """Yield who labels when, in the order in which chunks begin."""
    free = {"host-7/1": begin, "host-7/2": begin + timedelta(seconds=2)}
    stall_begin = begin + faults.stall[0] if faults.stall else end
    middle = begin + (end - begin) / 2
    while True:
        worker = min(free, key=lambda name: free[name])
        started = free[worker]
        if started >= end:
            return
        takes = timedelta(seconds=faults.chunk_s * (3 if faults.slow_worker and worker == "host-7/2" else 1))
        if middle <= started < middle + faults.pause:
            started += faults.pause
        done = started + takes
        if faults.stall and started < stall_begin <= done:
            done += faults.stall[1]
        free[worker] = done + timedelta(milliseconds=40)
        yield worker, started, done


def _plant_chunk(
    rows: dict[Any, list[dict[str, Any]]],
    run: Run,
    draw: random.Random,
    faults: Faults,
    first_image: int,
    chunk_id: int,
    number: int,
    worker: str,
    started: datetime,
    done: datetime,
) -> None:
    failed = 0
    folder = number % 5
    for place in range(CHUNK_IMAGES):
        image_id = first_image + number * CHUNK_IMAGES + place
        fails = faults.failing_folder and folder == 2
        failed += fails
        stages = {stage: draw.lognormvariate(0, 0.3) * mean for stage, mean in STAGES_MS.items()}
        is_copy = number * CHUNK_IMAGES + place <= faults.copies
        rows[images].append(
            {
                "id": image_id,
                "path": f"{run.roots[0]}/{folder}/{image_id:07}.jpg",
                "path_hex": "",
                "size": 1000,
                "mtime_ns": 1_700_000_000_000_000_000,
            }
        )
        rows[manifest].append({"run_id": run.id, "image_id": image_id, "chunk_id": chunk_id})
        rows[outcomes].append(
            {
                "image_id": image_id,
                "model_id": run.model_id,
                "run_id": run.id,
                "chunk_id": chunk_id,
                "status": "failed" if fails else "ok",
                "label_1": None if fails else LABELS[min(int(draw.expovariate(1)), 4)],
                "score_1": None if fails else draw.random(),
                "error_kind": "damaged" if fails else None,
                "error": "rubbish" if fails else None,
                "size": 1000,
                "mtime_ns": 1_700_000_000_000_000_000,
                "content": f"{0 if is_copy else image_id:032x}",
                **{f"{stage}_ms": ms for stage, ms in stages.items()},
                "total_ms": stages["read"] + stages["decode"] + stages["infer"],
                "worker": worker,
                "labelled_at": done,
            }
        )
    rows[chunks].append(
        {
            "id": chunk_id,
            "run_id": run.id,
            "images": CHUNK_IMAGES,
            "attempt": 1,
            "starts": 1 + (faults.extra_starts if number == 0 else 0),
            "published_at": started - faults.queue_ahead,
            "started_at": started,
            "done_at": done,
            "worker": worker,
            "ok": CHUNK_IMAGES - failed,
            "failed": failed,
            "suspect_starts": 0,
        }
    )


def _samples(
    name: str, faults: Faults, begin: datetime, end: datetime, draw: random.Random
) -> Iterator[dict[str, Any]]:
    seconds = (end - begin).total_seconds()
    for number in range(int(seconds / SAMPLE_EVERY_S)):
        at_s = number * SAMPLE_EVERY_S
        grown = faults.leak_mb_an_hour * at_s / 3600 if name == "host-7/2" else 0.0
        if name == "host-7/2" and at_s > 0.8 * seconds:
            grown += faults.memory_steps_mb
        is_other = faults.replaced_child and name == "host-7/2" and at_s > seconds / 2
        yield {
            "worker": name,
            "sampled_at": begin + timedelta(seconds=at_s),
            "pid": 4713 if is_other else 4711,
            "rss_bytes": int((200 + grown + draw.gauss(0, 0.5)) * 1e6),
            "cpu_s": at_s * (0.02 if name == "host-7" else 0.95),
            "store_s": None if name == "host-7" else at_s * 0.01,
        }


def _worker(name: str, begin: datetime, end: datetime) -> dict[str, Any]:
    return {
        "name": name,
        "host": "host",
        "pid": 4711,
        "started_at": begin,
        "seen_at": end,
        "rss_bytes": 200_000_000,
        "peak_rss_bytes": 210_000_000,
    }
