"""A run as `nightlabel status` sees it, for tests of what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runner.status import Queue, Situation
from storage.records import FailureCount, Pace, Progress, Run
from tests.unit.storage.nights import MODEL

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def labelling_run(root: str) -> Situation:
    """Return a run over 1,000 images, half done: 64 in flight, the rest on the queue and behind it; followed."""
    run = Run(
        id=3,
        model_id=1,
        model=MODEL,
        engine="openvino",
        roots=(root,),
        state="labelling",
        created_at=NOW,
        follower="nas:17",
        follower_process="another boot/pid:[1]/17/0.50",
        followed_at=NOW - timedelta(seconds=2),
        skipped=0,
        ignored=0,
    )
    state = Progress(
        images=1000, ok=490, failed=10, chunks=16, chunks_done=8, chunks_waiting=4, chunks_in_work=1, images_in_work=64
    )
    return Situation(
        run=run,
        now=NOW,
        progress=state,
        pace=Pace(newest_at=NOW - timedelta(seconds=1), images=300),
        failures=[FailureCount(kind="truncated", images=10, example="/photos/a.jpg")],
        queue=Queue(depth=3, unacknowledged=1, workers={"nightlabel-17@nas": 1}),
        stall=timedelta(seconds=180),
    )
