"""Walking an archive: which files are offered, which are not, and what is said of the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archive.counts import ScanCounts
from archive.sample import draw
from archive.scan import scan
from common.errors import ArchiveError
from storage.records import ImageRef
from tests.unit.archive.archives import PICTURE, counted, found, put
from tests.unit.storage.privileges import without_privileges

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_an_image_is_found_with_its_size_and_its_time(root: Path) -> None:
    put(root, "cat.png")
    os.utime(root / "cat.png", ns=(1, 1_700_000_000_123_456_789))
    (ref,) = scan([str(root)], counts=ScanCounts())
    assert ref == (str(root / "cat.png"), len(PICTURE), 1_700_000_000_123_456_789)


def test_a_time_that_no_column_holds_is_the_last_one_that_it_does(root: Path) -> None:
    put(root, "from-the-future.jpg")
    os.utime(root / "from-the-future.jpg", ns=(0, 13_000_000_000 * 10**9))  # the year 2381: ext4 knows it
    (ref,) = scan([str(root)], counts=ScanCounts())
    assert ref.mtime_ns == 2**63 - 1


def test_folders_are_walked_in_the_order_of_their_names_after_their_own_files(root: Path) -> None:
    put(root, "b/2.jpg", "b/1.jpg", "a/z/1.jpg", "a/1.jpg", "c.jpg", "B.jpg")
    assert found(root) == ["B.jpg", "c.jpg", "a/1.jpg", "a/z/1.jpg", "b/1.jpg", "b/2.jpg"]


def test_hidden_files_and_folders_are_left_out(root: Path) -> None:
    put(root, ".hidden.jpg", ".thumbnails/1.jpg", "a/.cache/1.jpg", "seen.jpg")
    assert found(root) == ["seen.jpg"]


@pytest.mark.parametrize("folder", ["@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "__MACOSX"])
def test_folders_of_copies_and_rubbish_are_left_out(root: Path, folder: str) -> None:
    put(root, f"{folder}/1.jpg", f"a/{folder}/b/1.jpg", "seen.jpg")
    assert found(root) == ["seen.jpg"]


def test_a_hidden_root_is_scanned_since_it_was_named(root: Path) -> None:
    put(root, ".private/1.jpg")
    assert found(root / ".private") == ["1.jpg"]


def test_suffixes_count_in_any_case_of_letters(root: Path) -> None:
    put(root, "A.JPG", "b.HeIc")
    assert found(root) == ["A.JPG", "b.HeIc"]


def test_a_picture_without_suffix_is_found_by_its_content(root: Path) -> None:
    put(root, "IMG_0001", "scan.2020")
    assert found(root) == ["IMG_0001", "scan.2020"]


def test_what_is_no_picture_is_left_out_and_counted(root: Path) -> None:
    put(root, "notes.txt", "README", "film.mp4", content=b"Milk, bread, and a present for Anna")
    put(root, "seen.jpg")
    assert (found(root), counted(root).ignored) == (["seen.jpg"], 3)


def test_a_file_that_only_claims_to_be_a_picture_is_offered_and_will_fail(root: Path) -> None:
    put(root, "empty.jpg", content=b"")
    put(root, "text.jpg", content=b"hello")
    assert found(root) == ["empty.jpg", "text.jpg"]


def test_names_of_any_bytes_are_found(root: Path) -> None:
    names = [b"gr\xfc\xdfe.jpg", b"new\nline.jpg", "日本語.jpg".encode(), b" .jpg", b"-rf.jpg", b"a*[1].jpg"]
    for name in names:
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(PICTURE)
    assert {os.fsencode(path) for path in found(root)} == set(names)


def test_the_first_image_comes_before_the_walk_ends(root: Path, short_stretches: None) -> None:
    put(root, "a/1.jpg", "b/1.jpg", "c/1.jpg")
    images = scan([str(root)], counts=ScanCounts())
    first = next(images)
    put(root, "c/2.jpg")  # a folder that was not read yet: the walk is one stretch ahead
    assert [first.path, *(ref.path for ref in images)] == [
        str(root / name) for name in ("a/1.jpg", "b/1.jpg", "c/1.jpg", "c/2.jpg")
    ]


@pytest.fixture(params=["entries", "time"])
def short_stretches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each stretch of a walk end after its first entry: by their number, or by the time."""
    if request.param == "time":
        monkeypatch.setattr("archive.places.stretch.STRETCH_S", 0.0)
    else:
        monkeypatch.setattr("archive.places.walk.FIRST_ENTRIES", 1)
        monkeypatch.setattr("archive.places.walk.STRETCH_ENTRIES", 1)


def test_an_archive_that_is_walked_in_many_stretches_is_listed_and_counted_as_in_one(
    root: Path, short_stretches: None
) -> None:
    put(root, "b/2.jpg", "b/1.jpg", "a/z/1.jpg", "a/1.jpg", "c.jpg", "@eaDir/1.jpg", "empty/.hidden", "a/tmp/1.jpg")
    put(root, "note.txt", "b/film.mp4", content=b"hello")
    put(root, "a/tmp/CACHEDIR.TAG", content=b"Signature: 8a477f597d28d172789f06886806bc55")
    (root / "link.jpg").symlink_to("/nowhere")
    counts = ScanCounts()
    refs = scan([str(root)], counts=counts)
    assert [os.path.relpath(ref.path, root) for ref in refs] == ["c.jpg", "a/1.jpg", "a/z/1.jpg", "b/1.jpg", "b/2.jpg"]
    assert (counts.ignored, counts.links, counts.unreadable) == (2, 1, 0)
    assert counts.skipped_folders == {"@eaDir": 1, "tmp": 1}


def test_a_root_that_is_a_file_is_yielded_whatever_it_holds(root: Path) -> None:
    put(root, "note.txt", content=b"hello")
    refs = scan([str(root / "note.txt")], include=["*.jpg"], counts=ScanCounts())
    assert [ref.path for ref in refs] == [str(root / "note.txt")]


def test_a_root_that_is_gone_ends_the_scan_by_its_name(root: Path) -> None:
    with pytest.raises(ArchiveError, match=f"{root}/gone cannot be read"):
        list(scan([str(root / "gone")], counts=ScanCounts()))


def test_a_subfolder_that_may_not_be_read_is_counted_and_costs_nothing_else(open_root: Path) -> None:
    put(open_root, "a/1.jpg", "secret/1.jpg", "z/1.jpg")
    (open_root / "secret").chmod(0)
    with without_privileges():
        assert found(open_root) == ["a/1.jpg", "z/1.jpg"]
        assert counted(open_root).unreadable == 1


def test_a_file_without_suffix_that_may_not_be_read_is_counted(open_root: Path) -> None:
    put(open_root, "1.jpg", "secret")
    (open_root / "secret").chmod(0)
    with without_privileges():
        assert found(open_root) == ["1.jpg"]
        assert counted(open_root).unreadable == 1


def test_a_fifo_is_never_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe")
    os.mkfifo(root / "pipe.jpg")  # offered: it gets its row, and the reason
    assert found(root) == ["pipe.jpg"]


def test_a_folder_called_like_an_image_is_a_folder(root: Path) -> None:
    put(root, "x.jpg/1.jpg")
    assert found(root) == ["x.jpg/1.jpg"]


def _refs(count: int) -> Iterator[ImageRef]:
    return (ImageRef(f"/photos/{number}.jpg", number, 1) for number in range(count))


def test_a_sample_of_a_small_archive_is_all_of_it() -> None:
    drawn = draw(_refs(5), 10, 60)
    assert (sorted(drawn.refs), drawn.found, drawn.is_whole) == (sorted(_refs(5)), 5, True)


def test_a_sample_of_a_large_archive_is_drawn_from_all_over_it() -> None:
    drawn = draw(_refs(10_000), 1000, 60)
    assert (len(set(drawn.refs)), drawn.found, drawn.is_whole) == (1000, 10_000, True)
    assert sum(ref.size for ref in drawn.refs) / 1000 == pytest.approx(5000, rel=0.05)


def test_a_sample_says_when_its_time_was_up_before_the_archive() -> None:
    drawn = draw(_refs(10), 10, 0)
    assert (len(drawn.refs), drawn.found, drawn.is_whole) == (1, 1, False)
    assert draw(_refs(1), 10, 0).is_whole
