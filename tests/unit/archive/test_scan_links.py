"""Links inside an archive, the roots that are named, and the globs that choose."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from archive.counts import ScanCounts
from archive.scan import find_roots, scan
from common.errors import ArchiveError
from tests.unit.archive.archives import counted, found, put
from tests.unit.storage.privileges import without_privileges

if TYPE_CHECKING:
    from pathlib import Path


def test_a_link_to_a_file_inside_the_archive_is_an_image(root: Path) -> None:
    put(root, "real.jpg")
    (root / "link.jpg").symlink_to("real.jpg")
    assert found(root) == ["link.jpg", "real.jpg"]


def test_a_link_out_of_the_archive_is_left_out_and_counted(root: Path, tmp_path: Path) -> None:
    put(tmp_path, "outside.jpg", "archive-too/1.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (root / "neighbour.jpg").symlink_to(tmp_path / "archive-too" / "1.jpg")  # its path begins like the root's
    (root / "dots.jpg").symlink_to("../outside.jpg")
    assert (found(root), counted(root).links) == ([], 3)


def test_a_linked_folder_is_not_walked(root: Path) -> None:
    put(root, "real/1.jpg")
    (root / "linked").symlink_to("real")
    (root / "linked.jpg").symlink_to("real")
    assert (found(root), counted(root).links) == (["real/1.jpg"], 2)


def test_a_loop_of_links_ends(root: Path) -> None:
    put(root, "a/1.jpg")
    (root / "a" / "up").symlink_to("..")
    (root / "me.jpg").symlink_to("me.jpg")
    (root / "to.jpg").symlink_to("fro.jpg")
    (root / "fro.jpg").symlink_to("to.jpg")
    assert (found(root), counted(root).links) == (["a/1.jpg"], 4)


def test_a_link_to_nothing_is_left_out(root: Path) -> None:
    (root / "gone.jpg").symlink_to("nowhere.jpg")
    assert (found(root), counted(root).links) == ([], 1)


def test_a_glob_without_slash_is_held_against_the_name(root: Path) -> None:
    put(root, "cat.jpg", "a/cat2.jpg", "a/dog.jpg")
    assert found(root, include=("cat*",)) == ["cat.jpg", "a/cat2.jpg"]


def test_a_glob_with_a_slash_is_held_against_the_path_below_the_root(root: Path) -> None:
    put(root, "2020/1.jpg", "2020/05/1.jpg", "2021/2020/1.jpg", "1.jpg")
    assert found(root, include=("2020/*",)) == ["2020/1.jpg", "2020/05/1.jpg"]


def test_one_of_several_globs_is_enough(root: Path) -> None:
    put(root, "1.jpg", "2.png", "3.gif")
    assert found(root, include=("*.jpg", "*.gif")) == ["1.jpg", "3.gif"]


def test_globs_match_in_any_case_of_letters(root: Path) -> None:
    put(root, "CAT.JPG", "Raw/1.jpg")
    assert found(root, include=("*.jpg",), exclude=("raw/*",)) == ["CAT.JPG"]


def test_a_file_that_is_excluded_is_left_out_even_if_it_is_included(root: Path) -> None:
    put(root, "1.jpg", "1-small.jpg")
    assert found(root, include=("*.jpg",), exclude=("*-small.*",)) == ["1.jpg"]


@pytest.mark.parametrize("glob", ["private", "a/private", "a/private/", "/a/private", "a/private/*", "PRIV*"])
def test_a_folder_that_is_excluded_is_not_walked(root: Path, glob: str) -> None:
    put(root, "a/private/1.jpg", "a/private/b/1.jpg", "a/1.jpg")
    assert found(root, exclude=(glob,)) == ["a/1.jpg"]


def test_a_name_of_several_lines_is_matched_as_a_whole(root: Path) -> None:
    put(root, "cat\n.jpg", "dog\ncat.jpg")
    assert found(root, include=("cat*",)) == ["cat\n.jpg"]


def test_what_is_left_out_by_a_glob_is_not_opened(root: Path) -> None:
    put(root, "note", content=b"hello")
    counts = ScanCounts()
    assert list(scan([str(root)], exclude=["note"], counts=counts)) == []
    assert counts.ignored == 0


def test_roots_are_real_paths(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    assert find_roots(["link"]) == (str(root),)


def test_a_root_inside_another_is_scanned_once(root: Path) -> None:
    put(root, "a/b/1.jpg", "ab/1.jpg")
    paths = [str(root / name) for name in ("a/b", "a", "ab", "a", "a/b/1.jpg", "./a")]
    assert find_roots(paths) == (str(root / "a"), str(root / "ab"))


def test_a_root_may_be_a_file(root: Path) -> None:
    put(root, "1.jpg")
    assert find_roots([str(root / "1.jpg")]) == (str(root / "1.jpg"),)


def test_the_home_folder_may_be_written_as_a_tilde(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "Pictures/1.jpg")
    monkeypatch.setenv("HOME", str(root))
    assert find_roots(["~/Pictures"]) == (str(root / "Pictures"),)


def test_a_missing_root_is_named(root: Path) -> None:
    with pytest.raises(ArchiveError, match="Pictuers cannot be read: No such file or directory"):
        find_roots([str(root), str(root / "Pictuers")])


def test_a_root_that_may_not_be_read_is_named(open_root: Path) -> None:
    put(open_root, "secret/1.jpg", "secret.jpg")
    (open_root / "secret").chmod(0)
    (open_root / "secret.jpg").chmod(0)
    for name in ("secret", "secret.jpg"):
        with pytest.raises(ArchiveError, match=f"{name} cannot be read: Permission denied"), without_privileges():
            find_roots([str(open_root / name)])


@pytest.mark.parametrize("name", ["loop", "~nobody-has-this-name/photos"])
def test_a_root_that_leads_nowhere_is_refused_in_a_sentence(
    root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "loop").symlink_to("loop")
    monkeypatch.chdir(root)
    with pytest.raises(ArchiveError, match=name):
        find_roots([name])


def test_a_fifo_as_root_is_refused_and_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(ArchiveError, match="pipe cannot be read"):
        list(scan(find_roots([str(root / "pipe")]), counts=ScanCounts()))
