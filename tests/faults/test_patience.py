"""What is slow is not gone, what waits behind other work has not stalled, and what is given up ends."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from common.settings import load_settings
from producer.publish import Publisher
from producer.reconcile import Reconciler
from storage.chunk_claims import claim
from storage.database import Database
from storage.identity import database_identity
from storage.manifest import add_images, mark_published
from storage.outcomes import Stored, store
from storage.records import ImageRef
from storage.runs import open_run, unfinished_runs
from tests.faults.farm import wait_for_end, wait_to_say
from tests.unit.storage.nights import MODEL, success

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.farm import Farm

IMAGES = 24


def reconciler_of(farm: Farm) -> Reconciler:
    """Return what finds the lost chunks of the farm's only run."""
    settings = load_settings(broker_url=farm.broker_url, database_url=farm.database_url)
    database = Database(settings.database_url)
    (run,) = unfinished_runs(database)
    app, identity = farm.app(), database_identity(database)
    return Reconciler(app, database, identity, run, settings, Publisher(app, database, identity, run, settings))


def test_a_worker_whose_main_process_is_slow_to_answer_keeps_its_chunks(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    """Its child labels on. Published again, each chunk would be labelled twice, and the run given up in the end."""
    worker = farm.start_held_worker(1)
    farm.enqueue(archive(IMAGES))
    farm.wait_until_none_is_left()
    worker_main = worker.process
    worker_main.send_signal(signal.SIGSTOP)

    lost = [reconciler_of(farm).reconcile() for _ in range(3)]

    worker_main.send_signal(signal.SIGCONT)
    farm.go_on()
    farm.wait_for(IMAGES)
    assert lost == [0, 0, 0]
    assert farm.ask("select max(attempt), max(starts) from chunks") == [(1, 1)]
    farm.assert_whole(IMAGES)


def test_a_worker_that_was_killed_keeps_nothing(farm: Farm, archive: Callable[[int], Path]) -> None:
    worker = farm.start_held_worker(1)
    farm.enqueue(archive(IMAGES))
    farm.wait_until_none_is_left()
    worker.kill()

    assert reconciler_of(farm).reconcile() >= 1


def test_a_run_whose_chunks_wait_behind_another_runs_has_not_stalled(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    farm.enqueue(archive(IMAGES))  # no worker labels it
    limits = {"NIGHTLABEL_STALL_S": "5", "NIGHTLABEL_TIME_LIMIT_S": "2"}
    follower = farm.follow(archive(IMAGES), **limits)
    database = Database(farm.database_url)
    other, _ = open_run(database, MODEL, engine="openvino", roots=["/other"], filters={})
    refs = [ImageRef(f"/other/{number}.jpg", 1, 1) for number in range(12)]
    add_images(database, other, refs, chunk_size=1, relabel=False)
    for chunk in mark_published(database, other.id, 12):
        claimed = claim(database, database_identity(database), chunk.id, chunk.attempt, "host-1/1")
        assert claimed
        results = [success(image.image_id) for image in claimed.images]
        assert store(database, claimed, results, "host-1/1") is Stored.DONE
        time.sleep(1)
    quiet_until = time.monotonic()
    database.close()

    wait_to_say(follower, "Nothing was labelled for 5 s")  # now that the other run has come to its end, too

    assert time.monotonic() - quiet_until > 1


def test_a_cancelled_run_ends_is_labelled_no_further_and_leaves_its_images_to_the_next(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    follower = farm.follow(archive(IMAGES))
    farm.wait_for(1, "chunks where published_at is not null")

    cancelled = farm.nightlabel("cancel", 1)

    assert (cancelled.returncode, cancelled.stdout) == (
        0,
        f"Run 1 is cancelled: 0 of {farm.count('manifest')} images have their outcome, and keep it.\n",
    )
    assert "Run 1 was cancelled" in wait_for_end(follower, status=9)
    assert "cancelled" in farm.nightlabel("status").stdout
    watch = farm.nightlabel("status", "--watch")
    assert watch.returncode == 0  # nothing is unfinished
    worker = farm.start_worker()
    again = farm.follow(archive(IMAGES))
    wait_for_end(again)
    assert worker.process.poll() is None
    assert farm.ask("select distinct run_id from results") == [(2,)]
    assert farm.count() == IMAGES
