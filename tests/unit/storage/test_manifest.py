"""The manifest: what a run must label, each image once, whatever was offered to it how often."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import storage.manifest
from common.errors import DatabaseError
from storage.manifest import Added, failed_images, failed_runs
from storage.outcomes import stored_images
from storage.records import ImageRef
from storage.runs import progress
from tests.unit.storage.nights import (
    MODEL,
    add,
    ask,
    begin,
    begin_run,
    failure,
    label_all,
    number,
    photos,
    sample,
    store_with_sample,
    take,
)

if TYPE_CHECKING:
    from storage.database import Database

NOT_UTF8 = os.fsdecode(b"/photos/gr\xfc\xdfe.jpg")


def test_new_images_are_added(database: Database) -> None:
    assert add(database, begin_run(database), photos(3)) == Added(added=3, up_to_date=0)


def test_a_thousand_images_fit_in_one_call(database: Database) -> None:
    add(database, begin_run(database), photos(1000))
    assert number(database, "select count(distinct image_id) from manifest") == 1000


def test_no_chunk_is_larger_than_asked(database: Database) -> None:
    add(database, begin_run(database), photos(150), chunk_size=64)
    assert ask(database, "select images from chunks order by id") == [(64,), (64,), (22,)]


def test_a_chunks_count_is_that_of_its_images(database: Database) -> None:
    add(database, begin_run(database), photos(150), chunk_size=64)
    wrong = "select id from chunks where images <> (select count(*) from manifest where chunk_id = chunks.id)"
    assert ask(database, wrong) == []


def test_an_image_that_still_waits_is_not_added_again(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(3))
    assert add(database, run, photos(3)) == Added(added=0, up_to_date=0)
    assert number(database, "select count(*) from chunks") == 1


def test_an_image_offered_twice_at_once_is_added_once(database: Database) -> None:
    assert add(database, begin_run(database), photos(1) * 2).added == 1


def test_an_image_that_this_run_has_labelled_is_not_added_again(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(3))
    label_all(database, run)
    assert add(database, run, photos(3)) == Added(added=0, up_to_date=0)


def test_an_image_that_an_earlier_run_has_labelled_is_up_to_date(database: Database) -> None:
    earlier = begin_run(database)
    add(database, earlier, photos(3))
    label_all(database, earlier)
    assert add(database, begin_run(database, root="/"), photos(4)) == Added(added=1, up_to_date=3)


@pytest.mark.parametrize("changed", [{"size": 1001}, {"mtime_ns": 5}])
def test_a_changed_image_is_labelled_again(database: Database, changed: dict[str, int]) -> None:
    earlier = begin_run(database)
    add(database, earlier, photos(3))
    label_all(database, earlier)
    assert add(database, begin_run(database, root="/"), photos(3, **changed)) == Added(added=3, up_to_date=0)


def test_an_image_is_labelled_again_when_asked(database: Database) -> None:
    earlier = begin_run(database)
    add(database, earlier, photos(3))
    label_all(database, earlier)
    again = begin_run(database, root="/")
    assert add(database, again, photos(3), relabel=True) == Added(added=3, up_to_date=0)


def test_a_run_that_labels_again_does_so_once(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(3), relabel=True)
    label_all(database, run)
    assert add(database, run, photos(3), relabel=True) == Added(added=0, up_to_date=0)


def test_a_failed_image_is_up_to_date_like_any_other(database: Database) -> None:
    earlier = begin_run(database)
    add(database, earlier, photos(2))
    label_all(database, earlier, failing={"/photos/00001.jpg"})
    assert add(database, begin_run(database, root="/"), photos(2)) == Added(added=0, up_to_date=2)


def test_another_model_labels_the_same_images(database: Database) -> None:
    earlier = begin_run(database)
    add(database, earlier, photos(3))
    label_all(database, earlier)
    other = begin_run(database, replace(MODEL, precision="bf16"))
    assert add(database, other, photos(3)) == Added(added=3, up_to_date=0)


def test_an_image_that_changes_during_its_run_moves_to_a_new_chunk(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(3))
    label_all(database, run)
    add(database, run, photos(1, size=2000))
    assert ask(database, "select count(*), count(distinct chunk_id) from manifest") == [(3, 2)]
    assert ask(database, "select images, ok from chunks order by id") == [(2, 2), (1, None)]


def test_progress_still_counts_every_image_once_after_some_changed(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(5))
    label_all(database, run, failing={"/photos/00000.jpg", "/photos/00004.jpg"})
    add(database, run, photos(2, size=2000))  # one that failed, and one that did not
    before = progress(database, run.id)
    label_all(database, run)
    after = progress(database, run.id)
    assert (before.images, before.ok, before.failed, before.missing) == (5, 2, 1, 2)
    assert (after.images, after.ok, after.failed, after.missing) == (5, 4, 1, 0)


def test_an_image_that_changed_is_not_taken_for_labelled_when_its_new_chunk_is_begun_again(
    database: Database,
) -> None:
    run = begin_run(database)
    add(database, run, photos(1))
    label_all(database, run)
    add(database, run, photos(1, size=2000))
    (chunk,) = take(database, run)
    assert stored_images(database, begin(database, chunk)) == {}


def test_an_image_that_changes_while_it_waits_has_its_newest_version_in_the_database(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(1))
    label_all(database, run)
    add(database, run, photos(1, size=2000))
    assert ask(database, "select size from images") == [(2000,)]


def test_a_name_that_is_not_utf8_reaches_the_worker_byte_by_byte(database: Database) -> None:
    run = begin_run(database)
    add(database, run, [ImageRef(NOT_UTF8, 1, 1)])
    (chunk,) = take(database, run)
    assert [os.fsencode(image.path) for image in begin(database, chunk).images] == [b"/photos/gr\xfc\xdfe.jpg"]


def test_a_name_that_is_not_utf8_is_readable_in_the_database(database: Database) -> None:
    add(database, begin_run(database), [ImageRef(NOT_UTF8, 1, 1)])
    assert ask(database, "select path from images") == [("/photos/gr\\xfc\\xdfe.jpg",)]


def test_a_name_that_is_not_utf8_is_known_again(database: Database) -> None:
    run = begin_run(database)
    add(database, run, [ImageRef(NOT_UTF8, 1, 1)])
    assert add(database, run, [ImageRef(NOT_UTF8, 1, 1)]).added == 0


def test_two_names_that_look_alike_in_the_database_are_two_images(database: Database) -> None:
    run = begin_run(database)
    twin = "/photos/gr\\xfc\\xdfe.jpg"  # a backslash, an x, …: an odd name, but a name
    add(database, run, [ImageRef(NOT_UTF8, 1, 1), ImageRef(twin, 2, 2)])
    assert {image.path for chunk in take(database, run) for image in begin(database, chunk).images} == {NOT_UTF8, twin}


ODD_NAMES = [
    '/photos/it\'s "fine".jpg',
    "/photos/back\\slash.jpg",
    "/photos/🦆.jpg",
    "/photos/new\nline.jpg",
    "/photos/{}[].jpg",
]


def test_a_name_comes_back_as_it_was_given(database: Database) -> None:
    run = begin_run(database)
    add(database, run, [ImageRef(path, 1, 2**63 - 1) for path in ODD_NAMES])
    assert [image.path for chunk in take(database, run) for image in begin(database, chunk).images] == ODD_NAMES


def test_nothing_of_a_batch_that_fails_is_added(database: Database) -> None:
    run = begin_run(database)
    impossible = ImageRef("/photos/broken.jpg", None, 1)  # type: ignore[arg-type]  # every image has a size
    with pytest.raises(DatabaseError, match=r"(?i)not.null"):
        add(database, run, [*photos(100), impossible])
    assert ask(database, "select (select count(*) from images), (select count(*) from chunks)") == [(0, 0)]


def test_failed_images_come_page_by_page_and_none_is_left_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.manifest, "PAGE_ROWS", 7)
    run = begin_run(database)
    add(database, run, photos(20))
    failing = [ref.path for ref in photos(16, first=2)]
    label_all(database, run, failing=failing)
    pages = list(failed_images(database, run.id, []))
    assert [len(page) for page in pages] == [7, 7, 2]
    assert [ref.path for page in pages for ref in page] == failing


def test_failed_images_over_a_thousand_all_come(database: Database) -> None:
    run = begin_run(database)
    for first in (0, 600):
        add(database, run, photos(600, first=first))
    label_all(database, run, failing={ref.path for ref in photos(1200)})
    assert sum(len(page) for page in failed_images(database, run.id, [])) == 1200


def test_failed_images_are_those_of_the_kinds_that_were_asked_for(database: Database) -> None:
    run = begin_run(database)
    add(database, run, [*photos(1), ImageRef(NOT_UTF8, 5, 6)])
    (chunk,) = take(database, run)
    kinds = {NOT_UTF8: "vanished"}
    claimed = begin(database, chunk)
    results = [failure(image.image_id, kinds.get(image.path, "damaged")) for image in claimed.images]
    store_with_sample(database, claimed, results, sample())
    assert list(failed_images(database, run.id, ["vanished", "poison"])) == [[ImageRef(NOT_UTF8, 5, 6)]]


def test_only_runs_that_left_failures_are_retried(database: Database) -> None:
    fine = begin_run(database)
    add(database, fine, photos(1))
    label_all(database, fine)
    unlucky = begin_run(database, root="/")
    add(database, unlucky, photos(2))
    label_all(database, unlucky, failing={"/photos/00001.jpg"})
    assert (failed_runs(database, []), failed_runs(database, ["poison"])) == ([unlucky.id], [])
