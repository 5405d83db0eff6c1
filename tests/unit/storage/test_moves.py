"""An archive that was moved: all names and roots are those of the new place, or none, and nothing is new."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from common.errors import DatabaseError, FollowedError
from common.settings import load_settings
from storage.database import Database
from storage.manifest import path_of
from storage.moves import Busy, Move, Moved, draw_moved, move_archive
from storage.records import ImageRef
from storage.runs import get_run, open_run
from tests.unit.storage.nights import MODEL, add, ask, begin, begin_run, label_all, number, photos, take
from tests.unit.storage.processes import at_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Run

NOBODY = Busy(lambda _run, _now: False, lambda _: False, timedelta(hours=1))
OTHER_MODEL = replace(MODEL, architecture="mobilenet_v2")
EACH = "select id, path, path_hex from images order by id"


def refs(*paths: str | bytes) -> list[ImageRef]:
    return [ImageRef(os.fsdecode(path), 1000, 1) for path in paths]


def labelled(database: Database, *paths: str | bytes, roots: Sequence[str] = ("/photos",)) -> Run:
    """Label images in a run of their own."""
    run, _ = open_run(database, MODEL, engine="openvino", roots=roots, filters={})
    add(database, run, refs(*paths), relabel=True)
    label_all(database, run)
    return run


def names(database: Database) -> list[str]:
    """Return the images' paths, as `os` takes them, in the order of their ids."""
    return [path_of(path, path_hex) for _, path, path_hex in ask(database, EACH)]


def roots_of(database: Database, run: Run) -> list[str]:
    stored = get_run(database, run.id)
    assert stored
    return list(stored.roots)


def move(
    database: Database, old: str | bytes, new: str | bytes, busy: Busy = NOBODY, *, dry_run: bool = False
) -> Moved:
    return move_archive(database, Move(os.fsdecode(old), os.fsdecode(new)), busy, dry_run=dry_run)


def everything(database: Database) -> list[Any]:
    return [ask(database, EACH), [str(row) for row in ask(database, "select id, roots from runs order by id")]]


def test_what_lies_in_the_folder_moves_and_what_only_begins_like_it_stays(database: Database) -> None:
    labelled(database, "/photos/a.jpg", "/photos/2024/b.jpg", "/photos2/c.jpg", "/Photos/d.jpg", "/x/photos/e.jpg")
    assert move(database, "/photos", "/mnt/new%_") == Moved(2, 1)
    assert names(database) == [
        "/mnt/new%_/a.jpg",
        "/mnt/new%_/2024/b.jpg",
        "/photos2/c.jpg",
        "/Photos/d.jpg",
        "/x/photos/e.jpg",
    ]


def test_nothing_is_labelled_again_after_a_move(database: Database) -> None:
    labelled(database, "/photos/a.jpg", b"/photos/\xff.jpg")
    move(database, "/photos", "/new")
    run = begin_run(database, root="/new")
    assert add(database, run, refs("/new/a.jpg", b"/new/\xff.jpg")) == (0, 2)


@pytest.mark.parametrize(
    ("old", "new", "path", "moved"),
    [
        (b"/a", b"/b", b"/a/\xff.jpg", b"/b/\xff.jpg"),
        (b"/a", b"/\xfe", "/a/ü.jpg".encode(), b"/\xfe/" + "ü.jpg".encode()),
        (b"/a", b"/\xfe", b"/a/\xff.jpg", b"/\xfe/\xff.jpg"),
        (b"/\xfe", b"/a", "/\udcfe/ü\\xff.jpg".encode(errors="surrogateescape"), "/a/ü\\xff.jpg".encode()),
        (b"/\xfe", b"/a", b"/\xfe/\xff.jpg", b"/a/\xff.jpg"),
        (b"/\xfe", b"/\xfd", b"/\xfe/a.jpg", b"/\xfd/a.jpg"),
        ("/写真".encode(), "/é".encode(), "/写真/犬.jpg".encode(), "/é/犬.jpg".encode()),
        (b"/", b"/mnt", b"/a.jpg", b"/mnt/a.jpg"),
        (b"/mnt", b"/", b"/mnt/a.jpg", b"/a.jpg"),
        (b"/a/one.jpg", b"/b/two.jpg", b"/a/one.jpg", b"/b/two.jpg"),
    ],
)
def test_a_name_is_stored_as_a_scan_of_the_new_place_would(
    database: Database, old: bytes, new: bytes, path: bytes, moved: bytes
) -> None:
    labelled(database, path)
    assert move(database, old, new).images == 1
    assert [os.fsencode(name) for name in names(database)] == [moved]
    run = begin_run(database, root="/anywhere")
    assert add(database, run, refs(moved)) == (0, 1)


def test_a_folder_of_other_bytes_that_is_shown_alike_stays(database: Database) -> None:
    labelled(database, b"/\xfe/a.jpg", "/\\xfe/b.jpg", b"/\\xfe/\xff.jpg")
    assert move(database, b"/\xfe", "/new").images == 1
    assert names(database) == ["/new/a.jpg", "/\\xfe/b.jpg", os.fsdecode(b"/\\xfe/\xff.jpg")]
    assert move(database, "/\\xfe", "/other").images == 2


NESTED = ["/a/x.jpg", "/a/b/x.jpg", "/a/b/b/x.jpg", "/a/b/b/b/x.jpg"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_folder_moves_into_itself_and_out_again(database: Database, order: int) -> None:
    """Each image's new name is another's old one, whichever is changed first."""
    paths = NESTED[::order]
    labelled(database, *paths, b"/a/\xff.jpg", roots=["/a"])
    assert move(database, "/a", "/a/b").images == 5
    assert names(database) == [*(path.replace("/a/", "/a/b/", 1) for path in paths), os.fsdecode(b"/a/b/\xff.jpg")]
    assert move(database, "/a/b", "/a").images == 5
    assert names(database) == [*paths, os.fsdecode(b"/a/\xff.jpg")]


@pytest.mark.parametrize(
    ("roots", "moved"),
    [
        (["/photos/in"], ["/new/in"]),
        (["/photos/in/2024", "/scans"], ["/new/in/2024", "/scans"]),
        (["/photos"], ["/photos", "/new/in"]),
        (["/"], ["/"]),
        (["/photos", "/new"], ["/photos", "/new"]),
        (["/photos/in", "/new"], ["/new"]),
        (["/photos/in2"], ["/photos/in2"]),
    ],
)
def test_a_runs_roots_hold_its_images_after_the_move(database: Database, roots: list[str], moved: list[str]) -> None:
    run = labelled(database, "/photos/in/2024/a.jpg", roots=roots)
    assert move(database, "/photos/in", "/new/in") == Moved(1, int(roots != moved))
    assert roots_of(database, run) == moved


def test_a_run_above_the_old_place_that_has_no_image_there_keeps_its_roots(database: Database) -> None:
    labelled(database, "/photos/in/a.jpg", roots=["/photos/in"])
    other = labelled(database, "/photos/b.jpg", roots=["/photos"])
    assert move(database, "/photos/in", "/new") == Moved(1, 1)
    assert roots_of(database, other) == ["/photos"]


def test_an_unfinished_run_is_taken_up_again_at_the_new_place(database: Database) -> None:
    run = begin_run(database)
    add(database, run, photos(3))
    move(database, "/photos", "/new")
    resumed = begin_run(database, root="/new")
    assert resumed.id == run.id
    (chunk,) = take(database, run)
    claimed = begin(database, chunk)
    assert ([image.path for image in claimed.images], claimed.run.roots) == (
        [f"/new/{place:05}.jpg" for place in range(3)],
        ("/new",),
    )


def test_where_no_image_is_the_roots_are_named(database: Database) -> None:
    labelled(database, "/photos/a.jpg", roots=["/photos", "/scans"])
    before = everything(database)
    with pytest.raises(DatabaseError, match=r"no image at /photo\. Its runs were over /photos, /scans\.$"):
        move(database, "/photo", "/new")
    with pytest.raises(DatabaseError, match="no image at /photo"):
        draw_moved(database, Move("/photo", "/new"), 20)
    assert everything(database) == before


def test_names_that_are_taken_are_counted_and_shown_and_nothing_moves(database: Database) -> None:
    labelled(database, *(f"/a/{place}.jpg" for place in range(8)), b"/a/\xff.jpg", roots=["/a"])
    labelled(database, *(f"/b/{place}.jpg" for place in range(1, 7)), b"/b/\xff.jpg", "/b/other.jpg", roots=["/b"])
    before = everything(database)
    for dry_run in (True, False):
        with pytest.raises(DatabaseError, match=r"^7 names under /b .*: /b/1\.jpg, .*, /b/5\.jpg and 2 more\. Nothing"):
            move(database, "/a", "/b", dry_run=dry_run)
    assert everything(database) == before


def test_a_name_that_is_taken_in_a_nested_move_is_found_too(database: Database) -> None:
    labelled(database, "/a/b/x.jpg", "/a/x.jpg", roots=["/a"])
    before = everything(database)
    with pytest.raises(DatabaseError, match=r"^1 name under /a .*: /a/x\.jpg\. Nothing"):
        move(database, "/a/b", "/a")
    assert everything(database) == before


@pytest.mark.parametrize("root", ["/photos", "/photos/2024", "/"])
def test_a_run_that_is_followed_keeps_all_as_it_was(database: Database, root: str) -> None:
    run = labelled(database, "/photos/2024/a.jpg", roots=[root])
    before = everything(database)
    followed = NOBODY._replace(is_followed=lambda one, _now: one.id == run.id)
    with pytest.raises(FollowedError, match=f"Run {run.id}, of these images, is followed"):
        move(database, "/photos", "/new", followed)
    assert everything(database) == before


def test_another_archives_run_may_be_followed(database: Database) -> None:
    labelled(database, "/photos/a.jpg")
    other = labelled(database, "/photos2/a.jpg", roots=["/photos2"])
    assert move(database, "/photos", "/new", NOBODY._replace(is_followed=lambda one, _now: one.id == other.id)).images


@pytest.mark.parametrize(
    ("lives", "patience_s", "is_refused"), [(True, 0, True), (None, 60, True), (None, 0, False), (False, 60, False)]
)
def test_images_that_a_worker_has_begun_stay_while_it_may_be_at_work(
    database: Database, lives: bool | None, patience_s: float, is_refused: bool
) -> None:
    run = begin_run(database)
    add(database, run, photos(3))
    (chunk,) = take(database, run)
    begin(database, chunk)
    busy = Busy(lambda _run, _now: False, lambda _: lives, timedelta(seconds=patience_s))
    if not is_refused:
        assert move(database, "/photos", "/new", busy) == Moved(3, 1)
        return
    with pytest.raises(FollowedError, match=r"The worker host-1/1 is at work on images of run 1\."):
        move(database, "/photos", "/new", busy)
    assert number(database, "select count(*) from images where path like '/photos/%'") == 3


def test_a_dry_run_counts_the_same_and_changes_nothing(database: Database) -> None:
    labelled(database, "/photos/a.jpg", b"/photos/\xff.jpg")
    before = everything(database)
    counted = move(database, "/photos", "/photos/in", dry_run=True)
    assert everything(database) == before
    assert move(database, "/photos", "/photos/in") == counted == Moved(2, 1)


def test_images_are_drawn_from_all_that_move_and_the_same_each_time(database: Database) -> None:
    labelled(database, *(f"/photos/{place:03}.jpg" for place in range(300)), b"/photos/\xff.jpg", "/photos2/a.jpg")
    drawn = [draw_moved(database, Move("/photos", "/new"), 20) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 20
    assert {path[8] for path in drawn[0]} == {"0", "1", "2"}
    assert len(draw_moved(database, Move("/photos", "/new"), 1000)) == 301


def _die_before_the_roots(url: str) -> None:
    with closing(Database(load_settings(database_url=url).database_url)) as database:

        def die(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("UPDATE runs"):
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(database._engine, "after_cursor_execute", die)
        move(database, "/photos", "/photos/in")


def test_a_process_killed_between_the_statements_and_the_commit_leaves_all_as_it_was(
    database: Database, database_url: str
) -> None:
    labelled(database, *(f"/photos/{place}.jpg" for place in range(50)))
    before = everything(database)
    assert at_once(_die_before_the_roots, [(database_url,)]) == [-signal.SIGKILL]
    assert everything(database) == before
    assert move(database, "/photos", "/photos/in") == Moved(50, 1)
