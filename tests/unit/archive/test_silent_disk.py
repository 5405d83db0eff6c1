"""A disk or a share that does not answer: each wait is bounded, and nobody is blamed for it who is well."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from archive.failures import FailureKind, ImageError
from archive.reading import READ_AHEAD_FILES, READ_AHEAD_MAX_BYTES, Reader, read_image
from common.errors import ArchiveError
from storage.records import ChunkImage
from tests.dead_share import dead_share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from archive.blocking import Heartbeat
    from archive.reading import ImageFile

#: Seconds that a disk may be silent here: less than the least that a reading needs on a busy machine is no matter, for
#: one that is well is given half a second anyway.
SILENT_S = 0.2
#: Threads that may be left behind here.
FEW = 10


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archive.blocking._GRACE_S", 0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Have the reading of every file whose name holds a word never return, until the test ends."""
    end = threading.Event()
    words: list[str] = []

    def read(path: str, roots: Sequence[str], max_bytes: int, heartbeat: Heartbeat) -> ImageFile:
        if any(word in path for word in words):
            end.wait()
        return read_image(path, roots, max_bytes, heartbeat)

    monkeypatch.setattr("archive.reading.read_image", read)
    yield words.append
    end.set()


def put(folder: Path, *names: str) -> list[ChunkImage]:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return [ChunkImage(number, str(folder / name)) for number, name in enumerate(names)]


def read(reader: Reader, images: Sequence[ChunkImage], *roots: Path) -> list[str]:
    """Return what becomes of each image: its bytes, or why there are none."""
    found = []
    for _, result in reader.ahead(images, [str(root) for root in roots]):
        try:
            found.append(result().data.decode())
        except ImageError as error:
            found.append(str(error.kind))
    return found


def test_files_that_never_answer_cost_no_other_one(folder: Path, hang: Callable[[str], None]) -> None:
    """More of them than there are threads: each thread that is gone is replaced."""
    hang("dead")
    names = [f"{number}.dead" if number % 2 else f"{number}.jpg" for number in range(4 * READ_AHEAD_FILES)]

    found = read(Reader(1000, SILENT_S), put(folder, *names), folder)

    assert found == ["timeout" if name.endswith("dead") else name for name in names]


def test_a_file_that_never_answers_says_so_and_is_tried_again_by_the_next_run(
    folder: Path, hang: Callable[[str], None]
) -> None:
    hang("dead")
    (image,) = put(folder, "1.dead")

    with pytest.raises(ImageError, match="its disk gave no answer for") as caught:
        Reader(1000, SILENT_S).read(image.path, [str(folder)])

    assert (caught.value.kind, caught.value.is_transient) == (FailureKind.TIMEOUT, True)


def test_a_large_file_that_never_answers_is_not_waited_for_either(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read at its turn, for which the whole process would wait."""
    end = threading.Event()
    monkeypatch.setattr("archive.places.local_file._bytes", lambda *_: end.wait() and b"")
    (folder / "large.tif").write_bytes(bytes(READ_AHEAD_MAX_BYTES + 1))

    with pytest.raises(ImageError) as caught:
        Reader(10**9, SILENT_S).read(str(folder / "large.tif"), [str(folder)])
    end.set()

    assert caught.value.kind is FailureKind.TIMEOUT


def test_a_file_that_comes_slowly_is_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer in all than a disk may be silent: what counts is the time since it last gave something."""
    data = b"slow but sure"
    now = [1000.0]
    monkeypatch.setattr("archive.blocking.monotonic", lambda: now[0])

    def slow(_descriptor: int, size: int, heartbeat: Heartbeat) -> bytes:
        if size != len(data):  # a thread that an earlier test has left behind must not move this one's clock
            return b""
        for _ in range(15):  # longer than whoever waits for it waits without a look at the clock
            threading.Event().wait(0.1)
            now[0] += 0.9
            heartbeat()
        return data

    monkeypatch.setattr("archive.places.local_file._bytes", slow)
    monkeypatch.setattr("archive.blocking._GRACE_S", 0.0)
    (folder / "slow.jpg").write_bytes(data)

    assert Reader(1000, 1.0).read(str(folder / "slow.jpg"), [str(folder)]).data == data


def test_threads_that_are_left_behind_have_a_bound_and_other_archives_are_read_beyond_it(
    folder: Path, hang: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archive.blocking.MAX_ABANDONED", FEW)
    hang("dead/")
    dead = put(folder, *(f"dead/{number}" for number in range(FEW + 2 * READ_AHEAD_FILES)))
    before = threading.active_count()
    reader = Reader(1000, SILENT_S)

    found = read(reader, [*dead, *put(folder, "well/1.jpg")], folder / "dead", folder / "well")

    assert found == ["timeout"] * len(dead) + ["well/1.jpg"]
    assert threading.active_count() - before <= FEW + 2 * READ_AHEAD_FILES


def test_an_archive_that_does_not_answer_is_named_and_fails_no_image(folder: Path) -> None:
    share = folder / "share"
    share.mkdir()
    with dead_share(share):
        with pytest.raises(ArchiveError, match=f"{share} is gone: it gives no answer"):
            Reader(1000, SILENT_S).read(str(share / "1.jpg"), [str(share)])

        others = read(Reader(1000, SILENT_S), put(folder, "well/1.jpg"), share, folder / "well")
    assert others == ["well/1.jpg"]


def test_an_interpreter_ends_though_a_read_never_returns(folder: Path) -> None:
    share = folder / "share"
    share.mkdir()
    program = (
        "import sys; from archive.reading import Reader; from common.errors import ArchiveError\n"
        "try: Reader(1000, 0.2).read(sys.argv[1] + '/1.jpg', [sys.argv[1]])\n"
        "except ArchiveError: print('named')"
    )
    with dead_share(share):
        done = subprocess.run(
            [sys.executable, "-c", program, str(share)], capture_output=True, text=True, timeout=240, check=False
        )
    assert (done.stdout, done.returncode) == ("named\n", 0), done.stderr
