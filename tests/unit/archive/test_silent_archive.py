"""An archive whose disk does not answer, in part or as a whole, keeps no scan waiting for ever."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from archive.counts import ScanCounts
from archive.scan import find_roots, scan
from common.errors import ArchiveError
from tests.dead_share import dead_share
from tests.unit.archive.archives import put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("archive.places.walk", "archive.scan"):
        monkeypatch.setattr(f"{module}.SILENT_S", 0.5)


def scanned(root: Path, counts: ScanCounts) -> list[str]:
    return [os.path.relpath(ref.path, root) for ref in scan([str(root)], counts=counts)]


def test_a_folder_that_never_answers_is_left_out_and_all_others_are_scanned(root: Path) -> None:
    put(root, "a/1.jpg", "z/1.jpg", "z/2.jpg")
    (root / "dead").mkdir()
    counts = ScanCounts()
    with dead_share(root / "dead"):
        assert scanned(root, counts) == ["a/1.jpg", "z/1.jpg", "z/2.jpg"]
    assert counts.unreadable == 1


@pytest.fixture
def silent_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the look at a file without a suffix, into its first bytes, never return."""
    end = threading.Event()
    monkeypatch.setattr("archive.places.stretch.read_head", lambda *_: end.wait())
    yield
    end.set()


@pytest.mark.usefixtures("silent_file")
def test_a_file_that_never_answers_is_left_out_and_its_neighbours_are_scanned(root: Path) -> None:
    put(root, *(f"{number:02}.jpg" for number in range(100)), "50", "70")
    counts = ScanCounts()

    assert scanned(root, counts) == [f"{number:02}.jpg" for number in range(100)]
    assert (counts.unreadable, counts.ignored) == (2, 0)


@pytest.mark.usefixtures("silent_file")
def test_what_is_walked_again_since_a_file_in_it_never_answered_is_listed_and_counted_once(root: Path) -> None:
    put(root, "a/1.jpg", "a/text.txt", "a/z", "b/1.jpg", "b/@eaDir/1.jpg", content=b"")
    (root / "a" / "link.jpg").symlink_to("/nowhere")
    counts = ScanCounts()

    assert scanned(root, counts) == ["a/1.jpg", "b/1.jpg"]
    assert (counts.unreadable, counts.links, counts.skipped_folders) == (2, 1, {"@eaDir": 1})


@pytest.mark.usefixtures("silent_file")
def test_so_many_that_do_not_answer_end_the_scan_by_the_name_of_the_archive(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archive.blocking.MAX_ABANDONED", 3)
    put(root, *(f"{number:02}" for number in range(10)))

    with pytest.raises(ArchiveError, match=f"{root} cannot be read: no answer to 3 earlier calls"):
        scanned(root, ScanCounts())


def test_an_archive_that_never_answers_is_named_before_anything_begins(root: Path) -> None:
    with dead_share(root), pytest.raises(ArchiveError, match=f"{root} cannot be read: no answer for 0.5 s"):
        find_roots([str(root)])


def test_an_archive_that_falls_silent_amid_the_scan_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archive.places.walk.FIRST_ENTRIES", 1)  # a larger one is read to its end at once
    monkeypatch.setattr("archive.places.walk.STRETCH_ENTRIES", 1)
    put(root, *(f"{folder}/1.jpg" for folder in "abcd"))
    images = scan([str(root)], counts=ScanCounts())
    next(images)
    with dead_share(root), pytest.raises(ArchiveError, match=f"{root} cannot be read"):
        list(images)
