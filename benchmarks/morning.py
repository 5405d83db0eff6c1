"""The morning after a night of millions: how long the report, the export and each question of `docs/sql.md` take."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import insert

from benchmarks.page import Section
from benchmarks.questions import QUESTIONS
from common.settings import load_settings
from models.resolve import resolve
from storage.database import Database
from storage.runs import mark_scanned, newest_run, open_run
from storage.schema_version import ensure_schema
from storage.tables import chunks, images, manifest, outcomes, samples, workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from storage.records import Run

#: Times that each command is run and each question asked; the middle one counts.
ROUNDS = 3
CHUNK_IMAGES = 64
#: Images a second of the night that is planted, by as many processes.
SPEED, PROCESSES = 80.0, 4
_BATCH_CHUNKS = 500
#: Runs a command, and prints the seconds and KiB that it took. A child begins with its parent's peak: here a small one.
_MEASURED = """
import resource, subprocess, sys, time
begun = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_FAILURES = ("truncated", "damaged", "not_an_image")


def measure(rows: int, database_url: str | None) -> Section:
    """Plant a night of so many images, and ask.

    Raises:
        SystemExit: the database is not empty.

    """
    with tempfile.TemporaryDirectory(prefix="nightlabel-morning-") as folder:
        url = database_url or f"sqlite:///{folder}/night.db"
        settings = load_settings(database_url=url)
        with closing(Database(settings.database_url)) as database:
            ensure_schema(database)
            if newest_run(database):
                sys.exit(f"{database.shown} has runs already: name an empty database.")
            ready = resolve(settings)
            for model in (ready.model, resolve(load_settings(model="mobilenet_v2")).model):
                run, _ = open_run(
                    database, model, engine="openvino", roots=["/volume1"], filters={}, labels=ready.categories
                )
                # The second model has labelled a tenth: enough for questions about both.
                _plant(database, run, rows if model == ready.model else rows // 10, ready.categories)
            if not database.is_sqlite:
                with database.write() as connection:
                    connection.exec_driver_sql("ANALYZE")
            questions = {name: _ask(database, query) for name, query in QUESTIONS.items()}
        commands = {
            "`nightlabel report --run 1`": ("report", "--run", "1"),
            "`nightlabel report --since 3650d`": ("report", "--since", "3650d"),
            "`nightlabel report --run 1 --html`": ("report", "--run", "1", "--html", f"{folder}/night.html"),
            "`nightlabel export`": ("export", "--output", f"{folder}/night.csv"),
            "`nightlabel export --format parquet`": (
                "export",
                "--format",
                "parquet",
                "--output",
                f"{folder}/n.parquet",
            ),
        }
        timed = {name: _middle(_run(url, arguments) for _ in range(ROUNDS)) for name, arguments in commands.items()}
    lines = [
        f"{rows:,} images of one model, {rows // 10:,} of another.",
        "",
        "| command | s | peak MB |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {seconds:.1f} | {peak:.0f} |" for name, (seconds, peak) in timed.items()]
    lines += ["", "| question of [sql.md](sql.md) | ms |", "|---|---|"]
    lines += [f"| {name} | {ms:,.0f} |" for name, ms in questions.items()]
    return Section(lines, {"rows": rows, "commands": timed, "questions_ms": questions})


def _ask(database: Database, query: str) -> float:
    """Return the milliseconds that a question takes, the middle of a few."""
    taken = []
    with database.read() as connection:
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            connection.exec_driver_sql(query.replace("%", "%%")).all()
            taken.append((time.perf_counter() - begun) * 1000)
    return _middle(taken)


def _middle(values: Iterable[Any]) -> Any:
    return sorted(values)[ROUNDS // 2]


def _run(url: str, arguments: Sequence[str]) -> tuple[float, float]:
    """Return the seconds and the megabytes that a command takes."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", _MEASURED, sys.executable, "-P", "-m", "nightlabel", *arguments],
        env=os.environ | {"NIGHTLABEL_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, peak_kib = map(float, done.stdout.split())
    return seconds, peak_kib * 1024 / 1e6


def _plant(database: Database, run: Run, rows: int, categories: Sequence[str]) -> None:
    draw = np.random.default_rng(run.id)
    evening = datetime(2026, 11, 22, 22, tzinfo=UTC)  # a day that `docs/sql.md` asks for
    chunk_s = CHUNK_IMAGES * PROCESSES / SPEED
    with database.read() as connection:
        first_chunk = (connection.exec_driver_sql("select coalesce(max(id), 0) from chunks").scalar() or 0) + 1
    is_first = first_chunk == 1
    count = -(-rows // CHUNK_IMAGES)
    for start in range(0, count, _BATCH_CHUNKS):
        batch = range(start, min(start + _BATCH_CHUNKS, count))
        tables: dict[Any, list[dict[str, Any]]] = {images: [], chunks: [], manifest: [], outcomes: []}
        for number in batch:
            done = evening + timedelta(seconds=chunk_s * (number // PROCESSES + 1) + number % PROCESSES)
            found = list(_outcomes(run, draw, number, first_chunk + number, done, categories))
            failed = sum(one["status"] == "failed" for one in found)
            tables[chunks].append(_chunk(run, first_chunk + number, number, failed, done, chunk_s))
            tables[outcomes] += found
            tables[manifest] += [
                {"run_id": run.id, "image_id": one["image_id"], "chunk_id": first_chunk + number} for one in found
            ]
            tables[images] += [_image(one["image_id"], draw) for one in found]
        with database.write() as connection:
            for table, planted in tables.items():
                if is_first or table is not images:
                    connection.execute(insert(table), planted)
    with database.write() as connection:
        if is_first:
            connection.execute(insert(workers), [_worker(number, evening) for number in range(PROCESSES)])
            connection.execute(insert(samples), list(_samples(evening, chunk_s * count / PROCESSES)))
    mark_scanned(database, run.id, skipped=0, ignored=0)


def _image(image_id: int, draw: np.random.Generator) -> dict[str, Any]:
    year = 2005 + image_id % 20
    return {
        "id": image_id,
        "path": f"/volume1/photos/{year}/{image_id // 500:05}/IMG_{image_id:07}.jpg",
        "path_hex": "",
        "size": int(draw.integers(500_000, 8_000_000)),
        "mtime_ns": int(datetime(year, 6, 1, tzinfo=UTC).timestamp()) * 10**9 + image_id,
    }


def _outcomes(
    run: Run, draw: np.random.Generator, number: int, chunk_id: int, done: datetime, categories: Sequence[str]
) -> Iterator[dict[str, Any]]:
    kinds = (draw.pareto(0.5, (CHUNK_IMAGES, 3)) * 3).astype(int) % len(categories)
    scores = np.sort(draw.dirichlet((1, 1, 1), CHUNK_IMAGES))[:, ::-1]
    stages = draw.lognormal(0, 0.4, (CHUNK_IMAGES, 4)) * (5000.0, 3.0, 25.0, 18.0)
    # One folder in 20 is of a bad year: more of its images fail than make a folder worth a look.
    folder = (number * CHUNK_IMAGES + np.arange(CHUNK_IMAGES) + 1) // 500
    fails = draw.random(CHUNK_IMAGES) < np.where(folder % 20 == 0, 0.05, 0.005)
    for place in range(CHUNK_IMAGES):
        image_id = number * CHUNK_IMAGES + place + 1
        labels = {
            f"{part}_{rank + 1}": value
            for rank in range(3)
            for part, value in (("label", categories[kinds[place, rank]]), ("score", float(scores[place, rank])))
        }
        yield {
            "image_id": image_id,
            "model_id": run.model_id,
            "run_id": run.id,
            "chunk_id": chunk_id,
            "status": "failed" if fails[place] else "ok",
            **(dict.fromkeys(labels) if fails[place] else labels),
            "error_kind": _FAILURES[image_id % 3] if fails[place] else None,
            "error": "planted" if fails[place] else None,
            "width": 4000 if image_id % 3 else 3000,
            "height": 3000 if image_id % 3 else 4000,
            "size": 3_000_000,
            "mtime_ns": image_id,
            "content": f"{image_id - image_id % 50 if image_id % 1000 < 3 else image_id:032x}",
            **dict(zip(("queue_ms", "read_ms", "decode_ms", "infer_ms"), map(float, stages[place]), strict=True)),
            "total_ms": float(stages[place, 1:].sum()),
            "worker": f"nas-7/{number % PROCESSES + 1}",
            "labelled_at": done,
        }


def _chunk(run: Run, chunk_id: int, number: int, failed: int, done: datetime, chunk_s: float) -> dict[str, Any]:
    return {
        "id": chunk_id,
        "run_id": run.id,
        "images": CHUNK_IMAGES,
        "attempt": 1,
        "starts": 1,
        "published_at": done - timedelta(seconds=2 * chunk_s),
        "started_at": done - timedelta(seconds=chunk_s * 0.99),
        "done_at": done,
        "worker": f"nas-7/{number % PROCESSES + 1}",
        "ok": CHUNK_IMAGES - failed,
        "failed": failed,
        "suspect_starts": 0,
    }


def _worker(number: int, evening: datetime) -> dict[str, Any]:
    return {
        "name": f"nas-7/{number + 1}",
        "host": "nas",
        "pid": 8 + number,
        "started_at": evening,
        "seen_at": evening,
        "rss_bytes": 210_000_000,
        "peak_rss_bytes": 220_000_000,
    }


def _samples(evening: datetime, seconds: float) -> Iterator[dict[str, Any]]:
    for number in range(PROCESSES + 1):  # the last is the main process
        for at_s in range(0, int(seconds), 5):
            yield {
                "worker": f"nas-7/{number + 1}" if number < PROCESSES else "nas-7",
                "sampled_at": evening + timedelta(seconds=at_s),
                "pid": 8 + number,
                "rss_bytes": 210_000_000 + at_s % 7 * 100_000,
                "cpu_s": at_s * 0.97,
                "store_s": at_s * 0.01 if number < PROCESSES else None,
            }
