"""Reading ahead: the disk works while the processor does, in bounded memory, and nobody's bytes are mixed up."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from storage.records import ChunkImage
from worker.failures import FailureKind, ImageError
from worker.reading import READ_AHEAD_FILES, READ_AHEAD_MAX_BYTES, Reader, read_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from worker.reading import ImageFile


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

    def noted(path: str, roots: Sequence[str], max_bytes: int) -> ImageFile:
        begun.append(path)
        if len(begun) >= READ_AHEAD_FILES:
            enough.set()
        return read_image(path, roots, max_bytes)

    monkeypatch.setattr("worker.reading.read_image", noted)
    coming = Reader(1000).ahead(files(folder, 40), [str(folder)])

    _, first = next(coming)
    first()

    assert enough.wait(10)
    assert len(begun) == READ_AHEAD_FILES


def test_a_large_file_waits_for_its_turn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight files of 200 MB in memory at once would be the end of a NAS."""
    large = folder / "large.tif"
    large.write_bytes(bytes(READ_AHEAD_MAX_BYTES + 1))
    readers: list[str] = []

    def noted(path: str, roots: Sequence[str], max_bytes: int) -> ImageFile:
        file = read_image(path, roots, max_bytes)
        readers.append(threading.current_thread().name)
        return file

    monkeypatch.setattr("worker.reading.read_image", noted)
    ((_, result),) = Reader(READ_AHEAD_MAX_BYTES * 2).ahead([ChunkImage(1, str(large))], [str(folder)])

    assert len(result().data) == READ_AHEAD_MAX_BYTES + 1
    assert readers == [threading.main_thread().name]


def test_a_file_over_the_limit_fails_with_the_users_limit(folder: Path) -> None:
    large = folder / "large.tif"
    large.write_bytes(bytes(READ_AHEAD_MAX_BYTES + 2))
    limit = READ_AHEAD_MAX_BYTES + 1

    ((_, result),) = Reader(limit).ahead([ChunkImage(1, str(large))], [str(folder)])

    with pytest.raises(ImageError, match=f"{limit:,}"):
        result()
