"""A night with known times, planted in the tables; and the raw rows, read without nightlabel."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import update

from storage.tables import chunks, outcomes
from tests.unit.storage.nights import (
    MODEL,
    add,
    begin,
    begin_run,
    failure,
    photos,
    sample,
    store_with_sample,
    success,
    take,
)

if TYPE_CHECKING:
    from storage.database import Database
    from storage.records import Model, Run

EVENING = datetime(2025, 1, 1, 22, tzinfo=UTC)
#: Seconds from one chunk's end to the next one's start: the last but one is a pause, the others are not.
GAPS_S = (0, 3, 60, 0, 2, 61, 600, 5)


def plant(database: Database, model: Model = MODEL, *, root: str = "/photos") -> Run:
    """Plant a run of two workers, whose chunks overlap, with two pauses and some failures."""
    run = begin_run(database, model, root=root)
    add(database, run, photos(160), chunk_size=10)
    dice = random.Random(7)  # noqa: S311 - the same night every time
    clock = EVENING
    for number, chunk in enumerate(take(database, run)):
        name = f"host-1/{number % 2 + 1}"
        claimed = begin(database, chunk, name)
        results = [
            failure(image.image_id, dice.choice(["damaged", "vanished"]), read_ms=dice.random())
            if dice.random() < 0.1
            else success(
                image.image_id, read_ms=dice.random(), decode_ms=dice.gauss(5, 1), infer_ms=dice.expovariate(1)
            )
            for image in claimed.images
        ]
        store_with_sample(database, claimed, results, sample(name, rss_bytes=1_000_000 * (number + 1)))
        clock += timedelta(seconds=GAPS_S[number // 2] if number % 2 == 0 else 0)
        plant_times(database, chunk.id, clock + timedelta(seconds=number % 2), clock + timedelta(seconds=9))
        if number % 2:
            clock += timedelta(seconds=9)
    with database.write() as connection:
        connection.execute(update(outcomes).values(queue_ms=outcomes.c.image_id * 1.5))
    return run


def plant_times(database: Database, chunk_id: int, started: datetime, done: datetime) -> None:
    with database.write() as connection:
        connection.execute(update(chunks).where(chunks.c.id == chunk_id).values(started_at=started, done_at=done))


def raw(database: Database, query: str) -> list[tuple[Any, ...]]:
    """Ask the database with its own driver."""
    if database.is_sqlite:
        assert database.url.database
        with closing(sqlite3.connect(database.url.database)) as file:
            return file.execute(query).fetchall()
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as server:
        return server.execute(query.encode()).fetchall()


def seconds(instant: str | datetime) -> int:
    """Return the seconds from the evening to an instant, as either driver gives it."""
    if isinstance(instant, str):
        instant = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    return round((instant - EVENING).total_seconds())
