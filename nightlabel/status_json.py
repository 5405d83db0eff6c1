"""The status for other programs: one JSON object, whose keys stay (`status.schema.json`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.status import advice
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from runner.status import Queue, Situation, Status
    from runner.status_check import Problem
    from storage.records import JsonObject, WorkerSample


def as_json(status: Status, problems: Sequence[Problem]) -> JsonObject:
    """Return the status as what `json.dumps` takes."""
    return {
        "database": status.database,
        "now": _instant(status.now),
        "is_unfinished": status.is_unfinished,
        "runs": [_run(situation) for situation in status.situations],
        "queue": _queue(status.queue),
        "processes": [_process(sample) for sample in status.processes],
        "problems": [{"kind": one.kind, "run": one.run_id, "text": one.text} for one in problems],
    }


def _run(situation: Situation) -> JsonObject:
    run, state = situation.run, situation.progress
    return {
        "id": run.id,
        "state": run.state,
        "roots": [shown(root) for root in run.roots],
        "model": str(run.model),
        "created_at": _instant(run.created_at),
        "images": state.images,
        "ok": state.ok,
        "failed": state.failed,
        "missing": state.missing,
        "failures": {failure.kind: failure.images for failure in situation.failures},
        "chunks": {
            "all": state.chunks,
            "done": state.chunks_done,
            "in_work": state.chunks_in_work,
            "published": state.chunks_published,
            "waiting": state.chunks_waiting,
        },
        "images_per_second": situation.images_per_second,
        "left_s": _seconds(situation.left),
        "stalled_s": _seconds(situation.stalled_for),
        "is_followed": situation.is_followed,
        "follower": run.follower if situation.is_followed else None,
        "to_do": str(advice(situation)),
    }


def _queue(queue: Queue | None) -> JsonObject | None:
    if queue is None:
        return None
    return {"waiting": queue.depth, "unacknowledged": queue.unacknowledged, "workers": dict(queue.workers)}


def _process(sample: WorkerSample) -> JsonObject:
    return {
        "name": sample.name,
        "host": sample.host,
        "seen_at": _instant(sample.seen_at),
        "rss_mb": sample.rss_bytes / 1e6,
    }


def _instant(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
