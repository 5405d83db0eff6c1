"""Following a run to its end: real Redis, both databases, and a worker whose work the test does itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import producer.run_follower
from broker.queue import depth, unacknowledged
from common.errors import ArchiveError, BrokerBusyError, CancelledError, DatabaseError, FollowedError
from producer.enqueue import Enqueued, Refused
from producer.lease import Lease
from producer.manifest_writer import ManifestWriter
from producer.publish import Publisher
from producer.reconcile import Reconciler
from producer.run_follower import Follower, QuietWatch
from storage.records import Chunk, Progress
from storage.runs import cancel, progress
from tests.faults.farm import kill_redis
from tests.unit.broker.queues import IDENTITY, bodies, key_of, raw, settings_for
from tests.unit.storage.nights import add, begin_run, label, number, photos

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from celery import Celery

    from broker.private_redis import PrivateRedis
    from common.errors import DatabaseBusyError
    from storage.database import Database
    from storage.records import Run


class Labelling:
    """A supervision that, each time the run is counted, does what a worker does with all that is on the queue."""

    def __init__(self, redis: PrivateRedis, database: Database, run: Run) -> None:
        self.redis = redis
        self.database = database
        self.run = run
        self.notes: list[str] = []
        self.seen: list[Progress] = []
        self.before_work: Callable[[], object] = lambda: None
        self.does_work = True
        self.enough_images: int | None = None  #: labelled, at which the run is left

    def keep_alive(self) -> None:
        pass

    def observe(self, progress: Progress, *, scanning: bool) -> None:
        del scanning
        self.seen.append(progress)

    def is_enough(self) -> bool:
        return self.enough_images is not None and bool(self.seen) and self.seen[-1].labelled >= self.enough_images

    def restart_stalled(self, progress: Progress) -> None:
        del progress
        self.before_work()
        if not self.does_work:
            return
        for _, ((_, chunk_id, attempt), *_) in bodies(self.redis):
            label(self.database, Chunk(id=chunk_id, run_id=self.run.id, attempt=attempt, images=2))
        with raw(self.redis) as client:
            client.delete(key_of())

    def endure(self, outage: BrokerBusyError | DatabaseBusyError, away_s: float) -> None:
        del outage, away_s
        self.redis.start()

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


@pytest.fixture
def run(database: Database) -> Run:
    return begin_run(database)


@pytest.fixture
def labelling(redis: PrivateRedis, database: Database, run: Run) -> Labelling:
    return Labelling(redis, database, run)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer.run_follower, "_POLL_S", 0.01)
    monkeypatch.setattr(producer.run_follower, "_RETRY_S", 0.01)
    monkeypatch.setattr(QuietWatch, "QUIET_S", 0.0)


def follow(
    app: Celery,
    labelling: Labelling,
    write: Callable[[Enqueued, threading.Event], None],
    *,
    until_published: bool = False,
) -> bool:
    database, run, settings = labelling.database, labelling.run, settings_for(labelling.redis)
    publisher = Publisher(app, database, IDENTITY, run, settings)
    with Lease(database, run.id) as lease, ManifestWriter(write) as manifest:
        return Follower(
            database,
            run,
            lease=lease,
            publisher=publisher,
            reconciler=Reconciler(app, database, IDENTITY, run, settings, publisher),
            manifest=manifest,
            supervision=labelling,
            is_queue_shared=True,
        ).follow(until_published=until_published)


def ten_images(labelling: Labelling) -> Callable[[Enqueued, threading.Event], None]:
    """Return what writes a manifest of ten images, in five chunks."""

    def write(enqueued: Enqueued, _stop: threading.Event) -> None:
        enqueued.added += add(labelling.database, labelling.run, photos(10), chunk_size=2).added

    return write


def test_a_run_is_followed_until_every_image_has_its_outcome(app: Celery, labelling: Labelling) -> None:
    follow(app, labelling, ten_images(labelling))

    assert progress(labelling.database, labelling.run.id).ok == 10
    assert (depth(app), unacknowledged(app)) == (0, 0)
    assert labelling.seen[-1].chunks_done == 5


def test_a_run_is_left_where_whoever_supervises_it_has_enough(app: Celery, labelling: Labelling) -> None:
    labelling.enough_images, labelling.does_work = 0, False
    assert not follow(app, labelling, ten_images(labelling))
    assert progress(labelling.database, labelling.run.id).ok == 0

    labelling.enough_images, labelling.does_work = None, True
    assert follow(app, labelling, ten_images(labelling))


def test_who_only_publishes_leaves_every_chunk_on_the_queue(app: Celery, labelling: Labelling) -> None:
    labelling.does_work = False
    follow(app, labelling, ten_images(labelling), until_published=True)

    assert (depth(app), progress(labelling.database, labelling.run.id).labelled) == (5, 0)


def test_what_redis_loses_is_published_again_and_said(app: Celery, labelling: Labelling) -> None:
    lost: list[object] = []

    def lose_once() -> None:
        if not lost and depth(app):
            with raw(labelling.redis) as client:
                lost.append(client.rpop(key_of(), 2))

    labelling.before_work = lose_once
    follow(app, labelling, ten_images(labelling))

    assert number(labelling.database, "select count(*) from chunks where attempt = 2") == 2
    assert "2 chunks got lost with a worker or in flight, and will be published again." in labelling.notes
    assert progress(labelling.database, labelling.run.id).ok == 10


def test_an_outage_is_endured_and_said_once(app: Celery, labelling: Labelling) -> None:
    killed: list[object] = []

    def kill_once() -> None:
        if not killed:
            killed.append(labelling.redis.pid)
            kill_redis(labelling.redis)

    labelling.keep_alive = kill_once  # type: ignore[method-assign]
    follow(app, labelling, ten_images(labelling))

    assert len([note for note in labelling.notes if "Trying again, for up to 15 minutes." in note]) == 1
    assert progress(labelling.database, labelling.run.id).ok == 10


def test_an_outage_that_lasts_ends_the_run(app: Celery, labelling: Labelling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer.run_follower, "PATIENCE_S", 0.0)
    kill_redis(labelling.redis)

    with pytest.raises(BrokerBusyError):
        follow(app, labelling, ten_images(labelling))


@pytest.mark.parametrize(
    ("ignored", "said"), [(0, "in /photos."), (1, "1 file there is no image."), (3, "3 files there are no images.")]
)
def test_an_archive_without_images_is_an_error_that_says_what_lies_there(
    app: Celery, labelling: Labelling, ignored: int, said: str
) -> None:
    def write(enqueued: Enqueued, _stop: threading.Event) -> None:
        enqueued.scan.ignored = ignored

    with pytest.raises(ArchiveError, match="There is no image to label in /photos") as caught:
        follow(app, labelling, write)
    assert str(caught.value).endswith(said)


def test_images_that_the_database_does_not_take_are_named(app: Celery, labelling: Labelling) -> None:
    def write(enqueued: Enqueued, stop: threading.Event) -> None:
        ten_images(labelling)(enqueued, stop)
        enqueued.refused += [Refused(f"/photos/{place}.jpg", "It is too long.") for place in range(25)]

    follow(app, labelling, write)

    assert labelling.notes[0] == "/photos/0.jpg is left out. It is too long."
    assert labelling.notes[-1] == "5 more images are left out for such a reason."


def test_where_the_database_takes_no_image_at_all_it_says_why(app: Celery, labelling: Labelling) -> None:
    def write(enqueued: Enqueued, _stop: threading.Event) -> None:
        enqueued.refused.append(Refused("/photos/0.jpg", "It is too long."))

    with pytest.raises(DatabaseError, match="It is too long"):
        follow(app, labelling, write)


def test_what_ends_the_scan_ends_the_run(app: Celery, labelling: Labelling) -> None:
    def write(_enqueued: Enqueued, _stop: threading.Event) -> None:
        raise ArchiveError("/photos cannot be read.")

    with pytest.raises(ArchiveError, match="cannot be read"):
        follow(app, labelling, write)


def test_a_run_that_another_process_follows_is_left_to_it(
    app: Celery, labelling: Labelling, database: Database, run: Run
) -> None:
    with Lease(database, run.id):
        other = Lease(database, run.id)
        other._holder = other._holder._replace(process=f"{other._holder.process}0")
        with pytest.raises(FollowedError, match=f":{os.getpid()} already"):
            other.renew()

    follow(app, labelling, ten_images(labelling))  # once the other has ended


def test_a_run_that_is_cancelled_amid_its_work_ends_with_that(
    app: Celery, labelling: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.lease.RENEW_EVERY_S", 0.0)
    labelling.does_work = False
    labelling.before_work = lambda: cancel(labelling.database, labelling.run.id)

    with pytest.raises(CancelledError, match="Run 1 was cancelled"):
        follow(app, labelling, ten_images(labelling))
