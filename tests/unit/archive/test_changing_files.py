"""A file that changes while it is read: its bytes, its size and its time are those of one version of it."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest

import archive.places.local_file
from archive.failures import FailureKind, ImageError
from archive.places.local_file import READS_OF_A_CHANGING_FILE
from archive.reading import ImageFile, read_image
from storage.records import ChunkImage
from worker.failed_outcome import failed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archive.blocking import Heartbeat

OLD, NEW = b"a heron, by its bytes", b"a shark, by its bytes"
MTIME_NS = 1_700_000_000_000_000_000


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "archive" / "photo.jpg"
    path.parent.mkdir()
    put(path, OLD)
    return path


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(MTIME_NS, MTIME_NS))


def replace_by_rename(path: Path) -> None:
    """As `rsync -t` and most editors do."""
    put(path.with_suffix(".new"), NEW)
    path.with_suffix(".new").rename(path)


def overwrite(path: Path) -> None:
    """As `rsync -t --inplace` does: the same file, of the same size, and the time set back."""
    put(path, NEW)


def grow(path: Path) -> None:
    put(path, NEW + b" and more")


def shrink(path: Path) -> None:
    put(path, NEW[:5])


def move_folder(path: Path) -> None:
    """Another folder takes the place of the file's own."""
    shutil.copytree(path.parent, path.parent.with_name("other"))
    put(path.parent.with_name("other") / path.name, NEW)
    path.parent.rename(path.parent.with_name("old"))
    path.parent.with_name("other").rename(path.parent)


def meanwhile(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None], *, after: bool, times: int = 1) -> None:
    """Have something happen right before, or right after, the bytes of a file are read, the first times."""
    really = archive.places.local_file._bytes
    left = [times]

    def read(descriptor: int, size: int, heartbeat: Heartbeat) -> bytes:
        data = b"" if not after else really(descriptor, size, heartbeat)
        if left[0]:
            left[0] -= 1
            change()
        return data if after else really(descriptor, size, heartbeat)

    monkeypatch.setattr("archive.places.local_file._bytes", read)


def version(file: ImageFile) -> tuple[bytes, int, int, str]:
    return file.data, file.size, file.mtime_ns, file.content


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("change", [replace_by_rename, overwrite, grow, shrink, move_folder])
def test_what_is_known_of_a_file_that_changes_is_its_own_bytes(
    photo: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], *, after: bool
) -> None:
    meanwhile(monkeypatch, lambda: change(photo), after=after)

    file = read_image(str(photo), [str(photo.parent)], 1000)

    now = photo.read_bytes()
    assert now != OLD
    content = hashlib.blake2b(now, digest_size=16).hexdigest()
    assert version(file) == (now, len(now), MTIME_NS, content)


def test_a_file_that_never_stops_changing_fails_and_is_tried_again_by_the_next_run(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda: grow(photo), after=True, times=READS_OF_A_CHANGING_FILE)

    with pytest.raises(ImageError, match="it changed 4 times while it was read") as caught:
        read_image(str(photo), [str(photo.parent)], 1000)

    assert (caught.value.kind, caught.value.is_transient) == (FailureKind.UNREADABLE, True)


def test_a_file_that_grows_without_end_is_not_read_without_end(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording, or an upload that is faster than the reading."""
    really = os.read
    asked = []

    def read(descriptor: int, count: int) -> bytes:
        asked.append(count)
        with photo.open("ab") as file:
            file.write(bytes(100))
        return really(descriptor, count)

    monkeypatch.setattr("archive.places.local_file.os.read", read)
    with pytest.raises(ImageError):
        read_image(str(photo), [str(photo.parent)], 1000)
    assert len(asked) <= 3 * READS_OF_A_CHANGING_FILE


def test_the_version_that_failed_is_the_one_that_was_looked_at(photo: Path) -> None:
    """Else a file that took the place of one that was too large would count as failed, for ever."""
    with pytest.raises(ImageError) as caught:
        read_image(str(photo), [str(photo.parent)], len(OLD) - 1)
    put(photo, NEW[:5])

    outcome = failed(ChunkImage(1, str(photo)), caught.value.kind, str(caught.value), version=caught.value.version)

    assert (outcome.size, outcome.mtime_ns) == (len(OLD), MTIME_NS)
