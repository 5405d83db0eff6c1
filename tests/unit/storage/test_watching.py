"""What is asked of runs while somebody watches them agrees with their chunks, on SQLite and on Postgres."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from storage.runs import cancel, progress
from storage.watching import ended_runs, labelled_over_time, pace, worker_paces
from tests.unit.report.planted import EVENING, plant_times
from tests.unit.storage.nights import add, begin, begin_run, photos, sample, store_with_sample, success, take

if TYPE_CHECKING:
    from storage.database import Database
    from storage.records import Run

WORKERS = ("host-1/1", "host-1/2")


def at(seconds: float) -> datetime:
    return EVENING + timedelta(seconds=seconds)


def plant(database: Database, *, root: str = "/photos") -> Run:
    """Plant four chunks of 10 images, done 9, 19, 29 and 39 s after the evening's begin; the first worker has three."""
    run = begin_run(database, root=root)
    refs = [ref._replace(path=ref.path.replace("/photos", root)) for ref in photos(50)]
    add(database, run, refs, chunk_size=10)
    for number, chunk in enumerate(take(database, run, 4)):
        name = WORKERS[number == 3]
        claimed = begin(database, chunk, name)
        store_with_sample(database, claimed, [success(image.image_id) for image in claimed.images], sample(name))
        plant_times(database, chunk.id, at(10 * number), at(10 * number + 9))
    return run


def test_images_are_counted_by_steps_of_time(database: Database) -> None:
    run = plant(database)
    assert labelled_over_time(database, run.id, EVENING, at(60), 20) == [(at(0), 20), (at(20), 20)]
    by_second = labelled_over_time(database, run.id, EVENING, at(60), 1)
    assert by_second == [(at(second), 10) for second in (9, 19, 29, 39)]


def test_what_lies_outside_of_the_time_is_not_counted(database: Database) -> None:
    """What a clock that was wrong has put into the future, for instance."""
    run = plant(database)
    assert labelled_over_time(database, run.id, at(19), at(29), 10) == [(at(10), 10), (at(20), 10)]


def test_a_pace_begins_with_the_first_of_its_chunks(database: Database) -> None:
    run = plant(database)
    recent = pace(database, run.id, at(19))
    assert (recent.images, recent.begun_at, recent.newest_at) == (30, at(10), at(39))
    none = pace(database, run.id, at(40))
    assert (none.images, none.begun_at, none.newest_at) == (0, None, at(39))


def test_workers_are_told_with_what_each_has_done(database: Database) -> None:
    run = plant(database)
    assert worker_paces(database, run.id, at(25)) == [
        (WORKERS[0], 30, 10, at(29)),
        (WORKERS[1], 10, 10, at(39)),
    ]


def test_runs_that_are_over_come_with_what_became_of_them(database: Database) -> None:
    first, second, third = (plant(database, root=root) for root in ("/a", "/b", "/c"))
    for run in (first, second):
        cancel(database, run.id)
    begun = begin_run(database, root="/empty")
    cancel(database, begun.id)

    ended = ended_runs(database, 10)

    assert [one.run.id for one in ended] == [second.id, first.id]
    assert [(one.images, one.ok, one.failed, one.done_at) for one in ended] == [(50, 40, 0, at(39))] * 2
    assert [one.run.id for one in ended_runs(database, 1)] == [second.id]
    assert progress(database, third.id).missing == 10
