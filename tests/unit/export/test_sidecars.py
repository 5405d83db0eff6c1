"""Sidecars on the disk: whole or not at all, merged, removed; nothing else in an archive is touched."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import uuid
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from common.errors import ArchiveError, UsageError
from common.settings import load_settings
from export.sidecars import Done, Sidecars, write_sidecars
from export.xmp import Sidecar
from export.xmp_fields import SUBJECT
from storage.database import Database
from storage.records import ImageRef
from storage.schema_version import ensure_schema
from tests.command import wait_until
from tests.unit.export.sidecar_samples import DARKTABLE, DIGIKAM, LIGHTROOM
from tests.unit.storage.nights import add, begin, begin_run, sample, store_with_sample, success, take
from tests.unit.storage.privileges import without_privileges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

THINGS = (("dog", 0.9), ("mammal", 0.95), ("animal", 0.96))
#: Writes sidecars until it is killed.
WRITER = """
import sys
from export.sidecars import Sidecars, write_sidecars
from storage.database import Database
write_sidecars(Database(sys.argv[1]), Sidecars(language=sys.argv[2]))
"""


class Archive:
    """Pictures in a folder, and a database in which all of them are dogs."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.database = database
        self.told: list[Done] = []

    def label(self, names: Sequence[str]) -> None:
        refs = []
        for name in names:
            path = os.path.join(self.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(b"a picture")
            refs.append(ImageRef(path, 9, 1))
        run = begin_run(self.database, root=str(self.folder))
        add(self.database, run, refs)
        for chunk in take(self.database, run):
            claimed = begin(self.database, chunk)
            outcomes = [success(image.image_id, things=THINGS) for image in claimed.images]
            store_with_sample(self.database, claimed, outcomes, sample())

    def write(self, **given: Any) -> dict[str, int]:
        self.told = []
        counts = write_sidecars(self.database, Sidecars(tell=self.told.append, **{"language": "de"} | given))
        return {str(change): count for change, count in sorted(counts.items())}

    def all_files(self) -> dict[str, bytes]:
        return {
            os.path.join(folder, name): Path(folder, name).read_bytes()
            for folder, _, names in os.walk(self.folder)
            for name in names
        }


@pytest.fixture
def archive(short_folder: Path) -> Iterator[Archive]:
    """Three pictures in two folders, in which everybody may write."""
    folder = short_folder / uuid.uuid4().hex / "photos"
    folder.mkdir(parents=True)
    database = Database(load_settings(database_url=str(folder.parent / "night.db")).database_url)
    ensure_schema(database)
    made = Archive(folder, database)
    made.label(["a.jpg", "b.jpg", "2024/c.heic"])
    for path in (folder, folder / "2024"):
        path.chmod(0o777)
    yield made
    database.close()


def words(path: Path) -> list[str]:
    return Sidecar.parse(path.read_bytes())._items(SUBJECT)


def test_each_picture_gets_a_sidecar_of_its_full_name(archive: Archive) -> None:
    before = archive.all_files()
    assert archive.write() == {"created": 3}
    new = {name: data for name, data in archive.all_files().items() if name not in before}
    assert sorted(new) == [f"{archive.folder}/{name}.xmp" for name in ("2024/c.heic", "a.jpg", "b.jpg")]
    assert words(archive.folder / "a.jpg.xmp") == ["Tier", "Säugetier", "Hund", "Golden Retriever"]
    assert {name: archive.all_files()[name] for name in before} == before


def test_the_same_again_writes_no_file(archive: Archive) -> None:
    archive.write()
    before = {path: os.stat(path) for path in archive.all_files()}
    assert archive.write() == {"unchanged": 3}
    assert {path: os.stat(path) for path in archive.all_files()} == before


def test_another_language_or_score_replaces_ours(archive: Archive) -> None:
    archive.write()
    assert archive.write(language="zh") == {"changed": 3}
    assert words(archive.folder / "a.jpg.xmp")[:3] == ["动物", "哺乳动物", "狗"]
    assert archive.write(min_score=0.8) == {"changed": 3}
    assert words(archive.folder / "a.jpg.xmp") == ["Tier", "Säugetier", "Hund"]


def test_a_picture_that_shows_nothing_surely_has_no_sidecar(archive: Archive) -> None:
    assert archive.write(min_score=0.99) == {"none": 3}
    archive.write()
    assert archive.write(min_score=0.99) == {"deleted": 3}
    assert not list(archive.folder.rglob("*.xmp"))


def test_removing_leaves_the_archive_as_it_was(archive: Archive) -> None:
    """But for white space inside of tags, which XML knows nothing of: the second time it is the same to the byte."""
    (archive.folder / "a.jpg.xmp").write_text(LIGHTROOM)
    archive.write()
    assert archive.write(remove=True) == {"changed": 1, "deleted": 2}
    before = archive.all_files()
    archive.write()
    assert archive.write(remove=True) == {"changed": 1, "deleted": 2}
    assert archive.all_files() == before
    assert archive.write(remove=True) == {"none": 2, "unchanged": 1}


def test_a_dry_run_says_what_would_change_and_writes_nothing(archive: Archive) -> None:
    (archive.folder / "b.jpg.xmp").write_text(DIGIKAM)
    before = archive.all_files()
    assert archive.write(dry_run=True) == {"changed": 1, "created": 2}
    assert archive.all_files() == before
    archive.write()
    before = archive.all_files()
    assert archive.write(dry_run=True, remove=True) == {"changed": 1, "deleted": 2}
    assert archive.all_files() == before
    assert {done.path for done in archive.told} == {f"{path}.xmp" for path in before if not path.endswith(".xmp")}


def test_pictures_that_are_gone_are_counted(archive: Archive) -> None:
    (archive.folder / "a.jpg").unlink()
    assert archive.write() == {"created": 2, "gone": 1}
    assert not (archive.folder / "a.jpg.xmp").exists()


def test_removing_does_not_need_the_picture(archive: Archive) -> None:
    archive.write()
    (archive.folder / "a.jpg").unlink()
    assert archive.write(remove=True) == {"deleted": 3}


@pytest.mark.parametrize("data", [b"", b"<?xml", b"\x89PNG", b"<html/>", b"<!DOCTYPE a>" + DIGIKAM.encode()])
def test_what_is_no_xmp_is_left_alone_and_named(archive: Archive, data: bytes) -> None:
    path = archive.folder / "a.jpg.xmp"
    path.write_bytes(data)
    for remove in (False, True):
        counts = archive.write(remove=remove)
        assert counts["left_alone"] == 1
        ((named, why),) = [(done.path, done.why) for done in archive.told if done.change == "left_alone"]
        assert named == str(path)
        assert why
    assert path.read_bytes() == data


def test_a_link_is_neither_followed_nor_replaced(archive: Archive) -> None:
    outside = archive.folder.parent / "precious.xmp"
    outside.write_text(DARKTABLE, newline="")
    (archive.folder / "a.jpg.xmp").symlink_to(outside)
    (archive.folder / "b.jpg.xmp").symlink_to(archive.folder.parent / "nowhere.xmp")
    assert archive.write() == {"created": 1, "left_alone": 2}
    assert {done.why for done in archive.told} == {"it is a link", ""}
    assert outside.read_bytes() == DARKTABLE.encode()
    assert (archive.folder / "a.jpg.xmp").is_symlink()
    assert not (archive.folder.parent / "nowhere.xmp").exists()


def test_a_folder_that_became_a_link_is_left_alone(archive: Archive) -> None:
    elsewhere = archive.folder.parent / "elsewhere"
    (archive.folder / "2024").rename(elsewhere)
    (archive.folder / "2024").symlink_to(elsewhere)
    assert archive.write() == {"created": 2, "left_alone": 1}
    assert os.listdir(elsewhere) == ["c.heic"]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_left_alone(archive: Archive, make: Any) -> None:
    make(archive.folder / "a.jpg.xmp")
    assert archive.write() == {"created": 2, "left_alone": 1}


def test_permissions_are_kept(archive: Archive) -> None:
    path = archive.folder / "a.jpg.xmp"
    path.write_text(DIGIKAM)
    path.chmod(0o640)
    archive.write()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_an_archive_that_may_only_be_read_says_so_at_once(archive: Archive) -> None:
    archive.folder.chmod(0o555)
    with (
        without_privileges(),
        pytest.raises(ArchiveError, match=r"in .*/photos: Permission denied\. Nothing was.*--into"),
    ):
        archive.write()
    assert archive.told == []
    assert not list(archive.folder.rglob("*xmp*"))


def test_one_folder_that_may_only_be_read_costs_its_own_sidecars(archive: Archive) -> None:
    (archive.folder / "2024").chmod(0o555)
    with without_privileges():
        assert archive.write() == {"created": 2, "left_alone": 1}


def test_a_folder_that_may_only_be_read_does_not_stop_others_where_it_comes_first(archive: Archive) -> None:
    (archive.folder / "a.jpg").unlink()
    (archive.folder / "b.jpg").unlink()
    (archive.folder / "2024").chmod(0o555)
    with without_privileges():
        assert archive.write() == {"gone": 2, "left_alone": 1}


def test_a_full_disk_stops_at_once(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ArchiveError, match="No space left on device"):
        archive.write()
    assert not list(archive.folder.rglob("*xmp*"))


def test_a_sidecar_that_may_only_be_read_is_left_alone(archive: Archive) -> None:
    path = archive.folder / "a.jpg.xmp"
    path.write_text(DIGIKAM)
    path.chmod(0o444)
    with without_privileges():
        assert archive.write() == {"created": 2, "left_alone": 1}
    assert path.read_text() == DIGIKAM


@pytest.mark.parametrize("leaves_mount_point", [True, False])
def test_an_archive_that_is_not_mounted_says_so_at_once(archive: Archive, leaves_mount_point: bool) -> None:
    archive.folder.rename(archive.folder.parent / "unmounted")
    if leaves_mount_point:
        archive.folder.mkdir()
    with pytest.raises(ArchiveError, match=r"The archive is gone: .*/photos: .*mounted"):
        archive.write()
    assert archive.told == []


def test_a_tree_of_their_own_mirrors_the_pictures_paths(archive: Archive) -> None:
    into = archive.folder.parent / "keywords"
    before = archive.all_files()
    assert archive.write(into=str(into)) == {"created": 3}
    assert words(Path(f"{into}{archive.folder}/2024/c.heic.xmp"))
    assert archive.write(into=str(into)) == {"unchanged": 3}
    assert archive.write(into=str(into), remove=True) == {"deleted": 3}
    assert os.listdir(into) == []
    assert archive.all_files() == before


def test_a_tree_of_their_own_is_made_by_no_dry_run_and_through_no_link(archive: Archive) -> None:
    into = archive.folder.parent / "keywords"
    archive.write(into=str(into), dry_run=True)
    assert not into.exists()
    top = archive.folder.parts[1]
    into.mkdir()
    (into / top).symlink_to(archive.folder.parent)
    assert archive.write(into=str(into)) == {"left_alone": 3}


def test_a_tree_in_a_file_is_refused(archive: Archive) -> None:
    with pytest.raises(UsageError, match=r"a\.jpg is no folder"):
        archive.write(into=str(archive.folder / "a.jpg"))


def test_names_that_are_not_utf8_and_long_ones(archive: Archive) -> None:
    """A sidecar whose name would be too long is named, and no other one suffers."""
    archive.label(["caf\udce9.jpg", f"{'n' * 251}.jpg"])
    assert archive.write() == {"created": 4, "left_alone": 1}
    assert os.path.exists(os.path.join(archive.folder, "caf\udce9.jpg.xmp"))
    assert {done.why for done in archive.told} == {"", "File name too long"}


def test_a_sidecar_that_another_program_writes_meanwhile_is_left_alone(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive.folder / "a.jpg.xmp"
    path.write_text(DIGIKAM)
    serialise = Sidecar.to_bytes

    def another_writes(sidecar: Sidecar) -> bytes:
        path.write_text(LIGHTROOM)
        return serialise(sidecar)

    monkeypatch.setattr(Sidecar, "to_bytes", another_writes)
    assert archive.write() == {"created": 2, "left_alone": 1}
    assert path.read_text() == LIGHTROOM


def test_a_kill_leaves_no_half_file_and_what_it_leaves_the_next_run_clears(archive: Archive) -> None:
    archive.label([f"many/{number:04}.jpg" for number in range(1500)])
    many = archive.folder / "many"
    for language, enough in (("de", 100), ("zh", 700)):
        before = {path.name: path.stat().st_mtime_ns for path in many.glob("*.xmp")}
        with subprocess.Popen([sys.executable, "-c", WRITER, str(archive.database.url), language]) as writer:
            wait_until(partial(_have_changed, many, before, enough))
            writer.send_signal(signal.SIGKILL)
        for path in many.glob("*.xmp"):
            assert words(path)
    assert sum(archive.write().values()) == 1503
    assert archive.write() == {"unchanged": 1503}
    left = Counter(path.suffix for path in many.iterdir())
    assert left == {".jpg": 1500, ".xmp": 1500}


def _have_changed(folder: Path, before: dict[str, int], enough: int) -> bool | None:
    return sum(before.get(path.name) != path.stat().st_mtime_ns for path in folder.glob("*.xmp")) > enough or None
