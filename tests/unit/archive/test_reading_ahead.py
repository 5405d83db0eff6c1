"""Reading ahead: the disk works while the processor does, in bounded memory, and nobody's bytes are mixed up."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archive.failures import FailureKind, ImageError
from archive.reading import READ_AHEAD_FILES, READ_AHEAD_MAX_BYTES, RETRY_PAUSES_S, Reader, read_image
from common.errors import ArchiveError
from storage.records import ChunkImage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archive.blocking import Heartbeat
    from archive.reading import ImageFile


def files(folder: Path, count: int) -> list[ChunkImage]:
    images = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        path.write_bytes(f"the bytes of file {number}".encode())
        images.append(ChunkImage(number, str(path)))
    return images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def test_each_image_gets_its_own_bytes_in_order(folder: Path) -> None:
    read = [(image.image_id, result().data) for image, result in Reader(1000).ahead(files(folder, 40), [str(folder)])]

    assert read == [(number, f"the bytes of file {number}".encode()) for number in range(40)]


def test_an_error_is_raised_for_its_own_image_only(folder: Path) -> None:
    images = files(folder, 20)
    os.unlink(images[7].path)

    kinds = {}
    for image, result in Reader(1000).ahead(images, [str(folder)]):
        try:
            result()
        except ImageError as error:
            kinds[image.image_id] = error.kind

    assert kinds == {7: FailureKind.VANISHED}


def test_the_next_files_are_read_while_the_first_is_in_work_and_no_more_than_a_few(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the first file in hand, exactly the window behind it is read, not the whole chunk."""
    begun: list[str] = []
    enough = threading.Event()

    def noted(path: str, roots: Sequence[str], max_bytes: int, heartbeat: Heartbeat) -> ImageFile:
        begun.append(path)
        if len(begun) >= READ_AHEAD_FILES:
            enough.set()
        return read_image(path, roots, max_bytes, heartbeat)

    monkeypatch.setattr("archive.reading.read_image", noted)
    coming = Reader(1000).ahead(files(folder, 40), [str(folder)])

    _, first = next(coming)
    first()

    assert enough.wait(10)
    assert len(begun) == READ_AHEAD_FILES


def test_a_large_file_waits_for_its_turn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight files of 200 MB in memory at once would be the end of a NAS."""
    large = folder / "large.tif"
    large.write_bytes(bytes(READ_AHEAD_MAX_BYTES + 1))
    read: list[Path] = []

    def noted(path: str, roots: Sequence[str], max_bytes: int, heartbeat: Heartbeat) -> ImageFile:
        file = read_image(path, roots, max_bytes, heartbeat)
        read.append(Path(path))
        return file

    monkeypatch.setattr("archive.reading.read_image", noted)
    ((_, result),) = Reader(READ_AHEAD_MAX_BYTES * 2).ahead([ChunkImage(1, str(large))], [str(folder)])
    assert not read

    assert len(result().data) == READ_AHEAD_MAX_BYTES + 1
    assert read == [large]


def test_a_file_over_the_limit_fails_with_the_users_limit(folder: Path) -> None:
    large = folder / "large.tif"
    large.write_bytes(bytes(READ_AHEAD_MAX_BYTES + 2))
    limit = READ_AHEAD_MAX_BYTES + 1

    ((_, result),) = Reader(limit).ahead([ChunkImage(1, str(large))], [str(folder)])

    with pytest.raises(ImageError, match=f"{limit:,}"):
        result()


@pytest.mark.parametrize("is_emptied", [True, False])
def test_no_image_is_blamed_for_an_archive_that_is_gone(folder: Path, *, is_emptied: bool) -> None:
    """An empty folder is what is left where a disk was mounted."""
    archive = folder / "archive"
    archive.mkdir()
    images = files(archive, 3)
    archive.rename(folder / "away")
    if is_emptied:
        archive.mkdir()

    with pytest.raises(ArchiveError, match=f"{archive} is gone"):
        next(Reader(1000).ahead(images, [str(archive)]))[1]()


def flaky(
    failures: int, kind: FailureKind, *, is_transient: bool
) -> Callable[[str, Sequence[str], int, Heartbeat], ImageFile]:
    """Return `read_image` as it is on a share that fails so many times first."""
    left = [failures]

    def read(path: str, roots: Sequence[str], max_bytes: int, heartbeat: Heartbeat) -> ImageFile:
        if left[0]:
            left[0] -= 1
            raise ImageError(kind, "planted", is_transient=is_transient)
        return read_image(path, roots, max_bytes, heartbeat)

    return read


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archive.reading.RETRY_PAUSES_S", [0.01] * len(RETRY_PAUSES_S))


@pytest.mark.usefixtures("quick")
def test_a_file_that_its_disk_gives_at_last_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "archive.reading.read_image", flaky(len(RETRY_PAUSES_S), FailureKind.UNREADABLE, is_transient=True)
    )
    ((_, result),) = Reader(1000).ahead(files(folder, 1), [str(folder)])

    assert result().data == b"the bytes of file 0"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("failures", "is_transient"), [(1, False), (len(RETRY_PAUSES_S) + 1, True)])
def test_a_file_that_is_not_there_or_fails_too_often_is_not_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failures: int, *, is_transient: bool
) -> None:
    monkeypatch.setattr(
        "archive.reading.read_image", flaky(failures, FailureKind.UNREADABLE, is_transient=is_transient)
    )
    ((_, result),) = Reader(1000).ahead(files(folder, 1), [str(folder)])

    with pytest.raises(ImageError, match="planted"):
        result()
