"""A night of many images, planted: what a run leaves in the tables, with labels as an archive has them."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import insert

from common.settings import load_settings
from models.resolve import resolve
from storage.database import Database
from storage.runs import mark_scanned, newest_run, open_run
from storage.schema_version import ensure_schema
from storage.tables import chunks, image_things, images, manifest, outcomes, samples, workers
from vocabulary.kinds import kinds_of_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from storage.records import Run

CHUNK_IMAGES = 64
#: Images a second of the night, by as many processes.
SPEED, PROCESSES = 80.0, 4
_BATCH_CHUNKS = 500
_FAILURES = ("truncated", "damaged", "not_an_image")
#: How many second and third labels are the first one's neighbours, which ImageNet has in WordNet's order.
_AKIN = 0.85
_THING = ("image_id", "thing", "score")


@contextmanager
def empty_database(url: str) -> Iterator[Database]:
    """Open a database to plant runs in, with the schema.

    Raises:
        SystemExit: it is not empty.

    """
    with closing(Database(load_settings(database_url=url).database_url)) as database:
        ensure_schema(database)
        if newest_run(database):
            sys.exit(f"{database.shown} has runs already: name an empty database.")
        yield database


@contextmanager
def planted_night(rows: int, database_url: str | None, folder: str) -> Iterator[tuple[Database, str]]:
    """Plant a night of so many images by the configured model, and yield the database that has it, with its URL.

    Args:
        rows: images.
        database_url: of an empty database; None: a SQLite file in this folder.
        folder: a scratch folder.

    Raises:
        SystemExit: the database is not empty.

    """
    url = database_url or f"sqlite:///{folder}/night.db"
    with empty_database(url) as database:
        ready = resolve(load_settings())
        run, _ = open_run(
            database, ready.model, engine="openvino", roots=["/volume1"], filters={}, labels=ready.categories
        )
        plant(database, run, rows, ready.categories)
        analyse(database)
        yield database, url


def analyse(database: Database) -> None:
    """Have Postgres know what is in the tables, as it does by itself after a night; and which ids were planted."""
    if not database.is_sqlite:
        with database.write() as connection:
            for table in ("images", "chunks"):
                newest = f"(SELECT max(id) FROM {table})"  # noqa: S608 - our own names
                connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {newest})")
            connection.exec_driver_sql("ANALYZE")


def plant(database: Database, run: Run, rows: int, categories: Sequence[str], *, with_things: bool = True) -> None:
    """Plant a run of so many images, in whole chunks; the first one plants the images, too.

    Args:
        database: empty, or with what this function left.
        run: whose model's labels these are.
        rows: images.
        categories: ImageNet's labels.
        with_things: whether kinds and things are there; else as schema 0004 leaves a database.

    """
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
        things: list[tuple[int, str, float]] = []
        for number in batch:
            done = evening + timedelta(seconds=chunk_s * (number // PROCESSES + 1) + number % PROCESSES)
            found = list(_outcomes(run, draw, number, first_chunk + number, done, categories))
            if with_things:
                things += _add_kinds(found)
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
            if things:
                key = ("image_id", "model_id", "thing")
                bound = database.bound(_THING, things)
                database.upsert_rows(connection, image_things, key, ("score",), _THING, bound, model_id=run.model_id)
    with database.write() as connection:
        if is_first:
            connection.execute(insert(workers), [_worker(number, evening) for number in range(PROCESSES)])
            connection.execute(insert(samples), list(_samples(evening, chunk_s * count / PROCESSES)))
    mark_scanned(database, run.id, skipped=0, ignored=0)


def _image(image_id: int, draw: np.random.Generator) -> dict[str, Any]:
    year = 2005 + image_id % 20
    return {
        "id": image_id,
        "path": f"/volume1/photos/{year}/{image_id // 500 % 5}/{image_id // 500:05}/IMG_{image_id:07}.jpg",
        "path_hex": "",
        "size": int(draw.integers(500_000, 8_000_000)),
        "mtime_ns": int(datetime(year, 6, 1, tzinfo=UTC).timestamp()) * 10**9 + image_id,
    }


def _outcomes(
    run: Run, draw: np.random.Generator, number: int, chunk_id: int, done: datetime, categories: Sequence[str]
) -> Iterator[dict[str, Any]]:
    best = classes(draw, len(categories))
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
            for part, value in (("label", categories[best[place, rank]]), ("score", float(scores[place, rank])))
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
            "kind": None,
            "kind_score": None,
            "size": 3_000_000,
            "mtime_ns": image_id,
            "content": f"{image_id - image_id % 50 if image_id % 1000 < 3 else image_id:032x}",
            **dict(zip(("queue_ms", "read_ms", "decode_ms", "infer_ms"), map(float, stages[place]), strict=True)),
            "total_ms": float(stages[place, 1:].sum()),
            "worker": f"nas-7/{number % PROCESSES + 1}",
            "labelled_at": done,
        }


def classes(draw: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Return three classes an image, int64 [images, 3]: some are there often, most seldom, dogs in one of eight."""
    weights = np.random.default_rng(1).lognormal(0, 1, count)
    best = draw.choice(count, (CHUNK_IMAGES, 1), p=weights / weights.sum())
    akin = (best + draw.permuted(np.tile([-2, -1, 1, 2, 3], (CHUNK_IMAGES, 1)), axis=1)[:, :2]) % count
    others = np.where(draw.random((CHUNK_IMAGES, 2)) < _AKIN, akin, draw.integers(0, count, (CHUNK_IMAGES, 2)))
    return np.concatenate([best, others], axis=1)


def _add_kinds(found: Sequence[dict[str, Any]]) -> Iterator[tuple[int, str, float]]:
    """Give the outcomes their kinds, and yield the rows of `image_things`."""
    for one in found:
        if one["status"] == "ok":
            kinds = kinds_of_labels([(one[f"label_{rank}"], one[f"score_{rank}"]) for rank in (1, 2, 3)])
            assert kinds
            one |= {"kind": kinds.kind, "kind_score": kinds.score}
            yield from ((one["image_id"], *thing) for thing in kinds.things)


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
