"""Folders that programs keep are left out, whatever their case; a person's folder of a like name is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archive.counts import ScanCounts
from archive.scan import scan
from archive.skipped_folders import SKIPPED_FOLDERS
from tests.conftest import ROOT
from tests.unit.archive.archives import counted, found, put

if TYPE_CHECKING:
    from pathlib import Path

LEFT_OUT = (
    *(
        "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
        "@eadir/1.jpg",
        "#Recycle/1.jpg",
        "#RECYCLE/1.jpg",
        "#snapshot/GMT+01/1.jpg",
    ),
    *("@Recycle/1.jpg", "@Recently-Snapshot/daily/1.jpg", "Network Recycle Bin 1/1.jpg", "~snapshot/hourly.0/1.jpg"),
    *("@GMT-2026.11.24-22.00.00/1.jpg", "_NAS_Recycle_RAID/1.jpg", "Recycle Bin - Volume_1/1.jpg", "TrashBox/1.jpg"),
    *("$Recycle.Bin/S-1-5-21/$RABC.jpg", "RECYCLER/S-1-5/Dc1.jpg", "System Volume Information/1.jpg"),
    *("lost+found/#12", "__MACOSX/1.jpg", "Network Trash Folder/1.jpg", "Backups.backupdb/Mac/2026/1.jpg"),
    *("Mine.photoslibrary/resources/derivatives/1.jpg", "Mine.PhotosLibrary/Resources/1.jpg"),
    *("Old.photolibrary/Thumbnails/1.jpg", "Old.photolibrary/Data.noindex/1.jpg", "Work.aplibrary/Previews/1.jpg"),
    *("Cat Previews.lrdata/0/1.jpg", "Cat Smart Previews.LRDATA/1.dng", "Cat.lrcat-data/1.jpg"),
    *("Session/CaptureOne/Cache/Proxies/1.jpg", "Cat.cocatalog/Cache/1.jpg"),
    *("appdata_ocab12cd34ef/preview/1.jpg", "anna/files_trashbin/files/1.jpg", "anna/files_versions/1.jpg"),
    *("storage/cache/thumbnails/1.jpg", "Plex/Cache/PhotoTranscoder/1.jpg", "kodi/userdata/Thumbnails/1.jpg"),
)
#: A person's own: the words are programs', what lies around and in them is not.
TAKEN = (
    *("resources/1.jpg", "Resources/1.jpg", "Thumbnails/1.jpg", "thumbs/1.jpg", "Thumbs/1.jpg", "Previews/1.jpg"),
    *("cache/1.jpg", "Cache/1.jpg", "Data/1.jpg", "profile/1.jpg", "private/1.jpg", "sidecar/1.jpg", "recycled/1.jpg"),
    *(
        "snapshots/1.jpg",
        "Recycling/1.jpg",
        "Mine.photoslibrary/originals/1.heic",
        "Mine.photoslibrary/Masters/1.jpg",
    ),
    *("Old.photolibrary/Masters/1.jpg", "anna/files/1.jpg", "immich/library/anna/2026/1.jpg", "lost and found/1.jpg"),
    *("storage/originals/1.jpg", "Session/Capture/1.jpg", "eaDir/1.jpg", "recycle/1.jpg", "Backups/1.jpg"),
)


@pytest.mark.parametrize("path", LEFT_OUT)
def test_a_folder_that_a_program_keeps_is_left_out_counted_and_taken_with_no_skip(root: Path, path: str) -> None:
    put(root, path, "seen.jpg")

    assert (found(root), counted(root).skipped_folders.total()) == (["seen.jpg"], 1)
    assert len(list(scan([str(root)], counts=ScanCounts(), no_skip=True))) == 2


@pytest.mark.parametrize("path", TAKEN)
def test_a_persons_own_folder_of_such_a_name_is_taken(root: Path, path: str) -> None:
    put(root, path)

    assert (found(root), counted(root).skipped_folders.total()) == ([path], 0)


@pytest.mark.parametrize(
    ("copies", "mark"),
    [
        ("upload/thumbs/anna/1.jpg", "upload/thumbs/.immich"),
        ("upload/profile/1.jpg", "upload/profile/.immich"),
        ("RECYCLED/Dc1.jpg", "RECYCLED/INFO2"),
        ("protected_media/square/1.jpg", "protected_media/thumbnails_big/1.webp"),
        ("PhotoPrism/1.jpg", "PhotoPrism/.ppstorage"),
    ],
)
def test_what_lies_in_a_folder_says_that_a_program_keeps_it(root: Path, copies: str, mark: str) -> None:
    put(root, copies)
    assert found(root) == [copies]

    put(root, mark)

    assert (found(root), counted(root).skipped_folders.total()) == ([], 1)


@pytest.mark.parametrize(
    ("copies", "around"),
    [
        ("upload/thumbs/1.jpg", ("upload/encoded-video/1.mp4", "upload/profile/1.txt")),
        ("storage/sidecar/1.jpg", ("storage/cache/1.txt", "storage/config/1.yml")),
        ("iPhoto Library/Thumbnails/1.jpg", ("iPhoto Library/AlbumData.xml",)),
    ],
)
def test_what_lies_around_a_folder_says_that_a_program_keeps_it(
    root: Path, copies: str, around: tuple[str, ...]
) -> None:
    put(root, copies)
    assert found(root) == [copies]

    put(root, *around, content=b"no picture")

    assert found(root) == []


def test_a_cache_that_says_so_by_the_standard_tag_is_left_out_and_another_file_of_the_name_is_none(root: Path) -> None:
    put(root, "a/1.jpg", "b/1.jpg")
    (root / "a/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# made by a test\n")
    (root / "b/CACHEDIR.TAG").write_text("a note")

    assert found(root) == ["b/1.jpg"]


@pytest.mark.parametrize("name", ["@eaDir", "$RECYCLE.BIN", "Cat Previews.lrdata", "appdata_oc123", "thumbs"])
def test_a_root_is_scanned_whatever_it_is_called_and_holds_since_it_was_named(root: Path, name: str) -> None:
    put(root, f"{name}/1.jpg", f"{name}/.immich")

    assert found(root / name) == ["1.jpg"]


def test_inside_a_library_that_is_the_root_its_previews_are_left_out(root: Path) -> None:
    put(root, "Mine.photoslibrary/originals/1.jpg", "Mine.photoslibrary/resources/1.jpg")

    assert found(root / "Mine.photoslibrary") == ["originals/1.jpg"]


def test_what_is_left_out_is_said_with_names_and_how_to_take_it(root: Path) -> None:
    put(root, "a/@eaDir/1.jpg", "b/@eaDir/1.jpg", "#recycle/1.jpg")

    (sentence,) = counted(root).sentences()

    assert sentence == (
        "Skipped 3 folders with copies that other programs manage (@eaDir, #recycle); use --no-skip to include them."
    )


def test_the_documented_list_is_the_one_that_holds() -> None:
    rows = [line.split(" | ") for line in (ROOT / "docs/formats.md").read_text().splitlines() if line.startswith("| `")]
    documented = {(row[0].strip("| `"), row[1]) for row in rows if len(row) == 3}

    assert documented >= {(kind.name, kind.owner) for kind in SKIPPED_FOLDERS}
    assert {whose for _, whose in documented if ": " in whose} == {kind.owner for kind in SKIPPED_FOLDERS}
