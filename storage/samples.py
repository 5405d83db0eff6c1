"""What worker processes say of themselves, stored in the transaction of the chunk that they have labelled."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from storage.records import ProcessSample, WorkerSample
from storage.tables import samples, workers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from storage.database import Database

#: Rows that can be stored beside a chunk's outcomes. Another kind needs its statement here.
ChunkRow = WorkerSample | ProcessSample

_WORKER = ("host", "pid", "process", "started_at", "seen_at", "rss_bytes", "peak_rss_bytes")


def write_chunk_rows(database: Database, connection: Connection, rows: Iterable[ChunkRow], now: datetime) -> None:
    """Write rows of any kinds in an open transaction: a worker's newest state, and samples that are kept.

    Args:
        database: where.
        connection: with the transaction of the chunk.
        rows: in any order.
        now: by the database's clock.

    """
    kept = []
    for row in rows:
        if isinstance(row, WorkerSample):
            _write_worker(database, connection, row, now)
        else:
            kept.append(asdict(row))
    if kept:
        # One that is there already, of a clock set back, must not cost the chunk.
        connection.execute(database.insert_or_keep(samples, ("worker", "sampled_at")), kept)


def _write_worker(database: Database, connection: Connection, sample: WorkerSample, now: datetime) -> None:
    database.upsert_each(
        connection,
        workers,
        ("name",),
        _WORKER,
        ("name",),
        [(sample.name,)],
        host=sample.host,
        pid=sample.pid,
        process=sample.process,
        started_at=sample.started_at,
        seen_at=now,
        rss_bytes=sample.rss_bytes,
        peak_rss_bytes=sample.peak_rss_bytes,
    )
