"""Runs: taken up again while they are unfinished, finished when nothing is missing, counted meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from storage.chunk_claims import claim
from storage.identity import database_identity
from storage.manifest import Added
from storage.outcomes import Stored
from storage.records import Progress
from storage.run_leases import Holder, acquire
from storage.runs import (
    begin_scan,
    cancel,
    get_run,
    mark_scanned,
    newest_run,
    open_run,
    progress,
    run_to_serve,
    set_engine,
    unfinished_runs,
)
from tests.unit.storage.nights import (
    MODEL,
    add,
    begin,
    begin_run,
    label,
    label_all,
    number,
    photos,
    published_chunk,
    sample,
    store_with_sample,
    success,
    take,
)

if TYPE_CHECKING:
    from storage.database import Database
    from storage.records import Model, Run

FILTERS = {"include": ["*.jpg"], "exclude": []}


@pytest.fixture
def run(database: Database) -> Run:
    run, _ = open_run(database, MODEL, engine="openvino", roots=["/photos", "/scans"], filters=FILTERS)
    return run


def scanned(database: Database, run: Run) -> Run:
    """End the run's scan, and return it as it then is."""
    mark_scanned(database, run.id, skipped=0, ignored=0)
    return as_stored(database, run)


def as_stored(database: Database, run: Run) -> Run:
    stored = get_run(database, run.id)
    assert stored
    return stored


def test_a_new_run_is_told_from_one_that_is_taken_up_again(database: Database) -> None:
    opened = [open_run(database, MODEL, engine="openvino", roots=["/photos"], filters=FILTERS) for _ in range(2)]
    assert [is_new for _, is_new in opened] == [True, False]


def test_a_run_is_read_as_it_was_opened(database: Database, run: Run) -> None:
    assert run == as_stored(database, run)
    assert (run.model, run.engine, run.roots, run.state) == (MODEL, "openvino", ("/photos", "/scans"), "scanning")


def test_an_unfinished_run_over_the_same_archive_is_taken_up_again(database: Database, run: Run) -> None:
    again, _ = open_run(database, MODEL, engine="openvino", roots=["/photos", "/scans"], filters=FILTERS)
    assert again.id == run.id


@pytest.mark.parametrize(
    ("model", "roots", "filters"),
    [
        (MODEL, ["/photos"], FILTERS),
        (MODEL, ["/photos", "/scans"], {"include": [], "exclude": []}),
        (replace(MODEL, precision="bf16"), ["/photos", "/scans"], FILTERS),
        (replace(MODEL, weights="random"), ["/photos", "/scans"], FILTERS),
    ],
    ids=["other roots", "other filters", "other precision", "other weights"],
)
def test_what_is_labelled_otherwise_is_another_run(
    database: Database, run: Run, model: Model, roots: list[str], filters: dict[str, list[str]]
) -> None:
    other, is_new = open_run(database, model, engine="openvino", roots=roots, filters=filters)
    assert is_new
    assert other.id != run.id


def test_a_finished_run_is_not_taken_up_again(database: Database, run: Run) -> None:
    scanned(database, run)
    _, is_new = open_run(database, MODEL, engine="openvino", roots=["/photos", "/scans"], filters=FILTERS)
    assert is_new


def test_a_run_whose_scan_was_cut_off_is_taken_up_again(database: Database, run: Run) -> None:
    add(database, run, photos(3))
    label_all(database, run)
    again, _ = open_run(database, MODEL, engine="openvino", roots=["/photos", "/scans"], filters=FILTERS)
    assert again.id == run.id


def test_a_run_with_an_open_chunk_is_taken_up_again(database: Database, run: Run) -> None:
    published_chunk(database, run)
    scanned(database, run)
    again, _ = open_run(database, MODEL, engine="openvino", roots=["/photos", "/scans"], filters=FILTERS)
    assert again.id == run.id


def test_a_run_that_is_taken_up_again_is_read_as_it_is_stored(database: Database, run: Run) -> None:
    published_chunk(database, run)
    scanned(database, run)
    again, _ = open_run(database, MODEL, engine="openvino", roots=["/photos", "/scans"], filters=FILTERS)
    assert again == as_stored(database, run)


def test_another_engine_is_stored_once_the_run_is_ours(database: Database, run: Run) -> None:
    """Opening alone changes nothing: somebody else may be following the run."""
    again, _ = open_run(database, MODEL, engine="torch", roots=["/photos", "/scans"], filters=FILTERS)
    before = as_stored(database, run).engine
    set_engine(database, again)
    assert (before, as_stored(database, run).engine) == ("openvino", "torch")


def test_a_model_has_one_row_however_many_runs_use_it(database: Database) -> None:
    first, second = begin_run(database, root="/a"), begin_run(database, root="/b")
    assert first.model_id == second.model_id
    assert number(database, "select count(*) from models") == 1


def test_a_root_whose_name_is_not_utf8_is_taken_up_again(database: Database) -> None:
    root = "/photos/gr\udcfc\udcdfe"
    first = begin_run(database, root=root)
    assert begin_run(database, root=root).id == first.id
    assert first.roots == (root,)


def test_a_run_is_not_finished_before_its_archive_was_scanned(database: Database, run: Run) -> None:
    add(database, run, photos(3))
    label_all(database, run)
    assert as_stored(database, run).state == "scanning"


def test_a_run_is_not_finished_while_a_chunk_is_open(database: Database, run: Run) -> None:
    published_chunk(database, run)
    assert scanned(database, run).state == "labelling"


def test_a_run_whose_chunks_are_done_is_finished(database: Database, run: Run) -> None:
    add(database, run, photos(3))
    label_all(database, run)
    assert scanned(database, run).state == "finished"


def test_a_run_that_is_scanned_again_is_not_finished_meanwhile(database: Database, run: Run) -> None:
    scanned(database, run)
    begin_scan(database, run.id)
    assert as_stored(database, run).state == "scanning"


def test_another_runs_open_chunks_do_not_keep_a_run_from_its_end(database: Database, run: Run) -> None:
    published_chunk(database, begin_run(database, root="/other"))
    assert scanned(database, run).state == "finished"


def test_a_scan_leaves_its_counts_on_the_run(database: Database, run: Run) -> None:
    mark_scanned(database, run.id, skipped=5, ignored=7)
    stored = as_stored(database, run)
    assert (stored.skipped, stored.ignored) == (5, 7)


def test_unfinished_runs_come_oldest_first(database: Database, run: Run) -> None:
    second, third = begin_run(database, root="/second"), begin_run(database, root="/third")
    scanned(database, second)
    assert [one.id for one in unfinished_runs(database)] == [run.id, third.id]


def test_the_newest_run_is_the_last_that_found_images(database: Database, run: Run) -> None:
    """One that found nothing new tells nothing of the night."""
    second = begin_run(database, root="/second")
    add(database, run, photos(1))
    assert newest_run(database) == as_stored(database, run)
    add(database, second, photos(1, first=1))
    assert newest_run(database) == as_stored(database, second)


def test_workers_serve_the_run_that_is_followed_else_the_newest(database: Database, run: Run) -> None:
    """An older run may be taken up again beside a newer one that was interrupted for good."""
    second = begin_run(database, root="/second")
    unfollowed = run_to_serve(database)
    acquire(database, run.id, Holder("nas:1", "boot/pid:[1]/1/0.50"), patience=timedelta(0), is_running=lambda _: None)
    followed = run_to_serve(database)
    assert (unfollowed and unfollowed.id, followed and followed.id) == (second.id, run.id)


def test_an_empty_database_has_no_newest_run(database: Database) -> None:
    assert newest_run(database) is None


def test_a_run_without_images_has_made_no_progress(database: Database, run: Run) -> None:
    assert progress(database, run.id) == Progress()


def test_progress_counts_images_and_chunks_by_what_became_of_them(database: Database, run: Run) -> None:
    add(database, run, photos(10), chunk_size=2)
    done, begun, begun_again, _queued = take(database, run, limit=4)  # and the fifth waits
    label(database, done, failing={"/photos/00001.jpg"})
    begin(database, begun)
    for _ in range(3):
        begin(database, begun_again)
    counted = Progress(
        images=10,
        ok=1,
        failed=1,
        chunks=5,
        chunks_done=1,
        chunks_waiting=1,
        chunks_in_work=2,
        images_in_work=4,
        extra_starts=2,
    )
    assert progress(database, run.id) == counted
    assert (counted.labelled, counted.missing) == (2, 8)


def test_a_run_is_the_same_in_whatever_order_its_archives_and_patterns_are_named(database: Database) -> None:
    filters = {"include": ["*.jpg", "*.png"], "exclude": ["b", "a"]}
    first, _ = open_run(database, MODEL, engine="openvino", roots=["/b", "/a"], filters=filters)
    turned = {name: patterns[::-1] for name, patterns in reversed(filters.items())}
    again, is_new = open_run(database, MODEL, engine="openvino", roots=["/a", "/b"], filters=turned)
    assert (again.id, again.roots, is_new) == (first.id, ("/b", "/a"), False)


def test_what_is_included_here_and_excluded_there_is_another_run(database: Database, run: Run) -> None:
    turned = {"include": [], "exclude": ["*.jpg"]}
    _, is_new = open_run(database, MODEL, engine="openvino", roots=list(run.roots), filters=turned)
    assert is_new


def test_a_cancelled_runs_chunks_are_claimed_no_more(database: Database, run: Run) -> None:
    chunk = published_chunk(database, run)
    cancel(database, run.id)
    assert claim(database, database_identity(database), chunk.id, chunk.attempt, "host-1/1") is None
    assert number(database, "select starts from chunks") == 0


def test_a_cancelled_run_keeps_what_it_labelled_and_what_a_worker_has_in_hand(database: Database, run: Run) -> None:
    add(database, run, photos(6), chunk_size=2)
    done, begun, _ = take(database, run)
    label(database, done)
    claimed = begin(database, begun)
    cancel(database, run.id)
    assert (
        store_with_sample(database, claimed, [success(image.image_id) for image in claimed.images], sample())
        is Stored.DONE
    )
    assert progress(database, run.id).ok == 4


def test_the_images_of_a_cancelled_run_are_free_for_the_next(database: Database, run: Run) -> None:
    add(database, run, photos(4), chunk_size=2)
    done, _ = take(database, run)
    label(database, done)
    cancel(database, run.id)
    again, is_new = open_run(database, MODEL, engine="openvino", roots=list(run.roots), filters=FILTERS)
    assert (is_new, add(database, again, photos(4))) == (True, Added(added=2, up_to_date=2))
    label_all(database, again)
    assert scanned(database, again).state == "finished"
    assert number(database, "select count(*) from results") == 4


def test_a_cancelled_run_is_neither_unfinished_nor_served(database: Database, run: Run) -> None:
    published_chunk(database, run)
    cancel(database, run.id)
    assert (unfinished_runs(database), run_to_serve(database)) == ([], None)
    assert as_stored(database, run).state == "cancelled"


def test_workers_serve_another_run_than_the_cancelled_one(database: Database, run: Run) -> None:
    second = begin_run(database, root="/second")
    cancel(database, second.id)
    served = run_to_serve(database)
    assert served
    assert served.id == run.id


def test_cancelling_a_run_leaves_others_as_they_are(database: Database, run: Run) -> None:
    other = begin_run(database, root="/other")
    chunk = published_chunk(database, other)
    cancel(database, run.id)
    assert label(database, chunk)
    assert [one.id for one in unfinished_runs(database)] == [other.id]


def test_who_cancels_is_told_how_the_run_stood(database: Database, run: Run) -> None:
    before = cancel(database, run.id)
    again = cancel(database, run.id)
    assert (before and before.state, again and again.state, cancel(database, 4711)) == ("scanning", "cancelled", None)


def test_a_finished_run_stays_finished_when_it_is_cancelled(database: Database, run: Run) -> None:
    add(database, run, photos(1))
    label_all(database, run)
    scanned(database, run)
    before = cancel(database, run.id)
    assert before
    assert (before.state, as_stored(database, run).state) == ("finished", "finished")
