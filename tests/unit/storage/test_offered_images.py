"""Images that are offered to a manifest in a batch: what is settled is told from what is not."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from storage.manifest import Added, add_images
from storage.records import ImageRef
from tests.unit.storage.nights import MODEL, add, ask, begin, begin_run, change, label_all, number, photos, take

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from storage.database import Database
    from storage.records import Run

NOT_UTF8 = os.fsdecode(b"/photos/gr\xfc\xdfe.jpg")


@pytest.fixture(params=[False, True], ids=["at once", "looking first"])
def look_first(request: pytest.FixtureRequest) -> bool:
    """Whether a batch is first looked at without SQLite's one writer: what becomes of it is the same."""
    return bool(request.param)


def labelled(database: Database, count: int, failing: Collection[str] = ()) -> Run:
    run = begin_run(database)
    add(database, run, photos(count))
    label_all(database, run, failing=failing)
    return run


def offer(database: Database, run: Run, refs: Sequence[ImageRef], *, look_first: bool, relabel: bool = False) -> Added:
    return add_images(database, run, refs, chunk_size=4, relabel=relabel, look_first=look_first)


def test_of_a_batch_with_all_kinds_of_images_those_are_added_that_miss_their_outcome(
    database: Database, look_first: bool
) -> None:
    labelled(database, 4)
    run = begin_run(database, root="/")
    offer(database, run, photos(1, first=20), look_first=False)
    changed = [*photos(1, first=1, size=2000), *photos(1, first=2, mtime_ns=5)]
    refs = [*photos(1), *changed, *photos(1, first=3), *photos(1, first=20), *photos(2, first=10)]
    assert offer(database, run, refs, look_first=look_first) == Added(added=4, up_to_date=2)
    paths = "select path, chunk_id - (select min(id) from chunks where run_id = :run) from manifest"
    paths += " join images on images.id = image_id where run_id = :run order by chunk_id, path"
    names = [f"/photos/{number:05}.jpg" for number in (20, 1, 2, 10, 11)]
    assert ask(database, paths.replace(":run", str(run.id))) == list(zip(names, (0, 1, 1, 1, 1), strict=True))
    assert ask(database, "select size, mtime_ns from images where path like '%/0000_.jpg' order by path")[1:3] == [
        (2000, photos(1)[0].mtime_ns),
        (1000, 5),
    ]


def test_a_batch_of_which_all_is_labelled_changes_nothing(database: Database, look_first: bool) -> None:
    labelled(database, 5, failing={"/photos/00001.jpg"})
    again = begin_run(database, root="/")
    assert offer(database, again, photos(5), look_first=look_first) == Added(added=0, up_to_date=5)
    assert number(database, f"select count(*) from chunks where run_id = {again.id}") == 0


def test_a_batch_that_still_waits_is_left_where_it_is(database: Database, look_first: bool) -> None:
    run = begin_run(database)
    add(database, run, photos(5))
    changed = photos(5, size=2000)
    assert offer(database, run, changed, look_first=look_first, relabel=True) == Added(added=0, up_to_date=0)
    assert number(database, "select count(*) from chunks") == 1


def test_an_image_whose_failure_is_of_no_version_is_added_again(database: Database, look_first: bool) -> None:
    labelled(database, 3, failing={"/photos/00001.jpg"})
    change(database, "update outcomes set size = null, mtime_ns = null where status = 'failed'")
    again = begin_run(database, root="/")
    assert offer(database, again, photos(3), look_first=look_first) == Added(added=1, up_to_date=2)


def test_another_models_outcomes_count_for_nothing(database: Database, look_first: bool) -> None:
    labelled(database, 3)
    other = begin_run(database, replace(MODEL, precision="bf16"))
    assert offer(database, other, photos(4), look_first=look_first) == Added(added=4, up_to_date=0)


def test_names_that_are_not_utf8_are_up_to_date_by_their_bytes(database: Database, look_first: bool) -> None:
    run = begin_run(database)
    refs = [ImageRef(NOT_UTF8, 1, 1), ImageRef(os.fsdecode(b"/photos/\xff.jpg"), 1, 1), *photos(1)]
    add(database, run, refs)
    label_all(database, run)
    again = begin_run(database, root="/")
    twin = ImageRef("/photos/gr\\xfc\\xdfe.jpg", 1, 1)
    assert offer(database, again, [*refs, twin], look_first=look_first) == Added(added=1, up_to_date=3)
    assert {image.path for chunk in take(database, again) for image in begin(database, chunk).images} == {twin.path}


def test_what_is_labelled_again_when_asked_is_added_once(database: Database, look_first: bool) -> None:
    labelled(database, 6)
    again = begin_run(database, root="/")
    assert offer(database, again, photos(6), look_first=look_first, relabel=True) == Added(added=6, up_to_date=0)
    label_all(database, again)
    assert offer(database, again, photos(6), look_first=look_first, relabel=True) == Added(added=0, up_to_date=0)


def test_a_batch_of_many_chunks_fills_them_in_its_order(database: Database) -> None:
    run = begin_run(database)
    refs = photos(300)[::-1]
    add_images(database, run, refs, chunk_size=64, relabel=False)
    paths = [image.path for chunk in take(database, run) for image in begin(database, chunk).images]
    assert sorted(paths[:64]) == sorted(ref.path for ref in refs[:64])
    assert sorted(paths[256:]) == sorted(ref.path for ref in refs[256:])


def test_looking_first_takes_no_turn_of_sqlites_writer(database: Database) -> None:
    labelled(database, 3)
    again = begin_run(database, root="/")
    begun: list[bool] = []
    event.listen(
        database._engine,
        "begin",
        lambda connection: begun.append(connection.get_execution_options().get("nightlabel_write", False)),
    )
    offer(database, again, photos(3), look_first=True)
    assert begun == [False]
