"""One more kind of place is one file and one entry: it is scanned, read and labelled as folders are."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

import pytest

import archive.places
from archive.counts import ScanCounts
from archive.failures import FailureKind, ImageError
from archive.places import place_of
from archive.reading import Reader
from archive.sample import draw_sample
from archive.scan import find_image, find_roots, scan
from common.errors import ArchiveError
from common.settings import load_settings
from runner.archive_watch import ArchiveWatch
from storage.records import ChunkImage
from tests.command import wait_until
from tests.unit.archive.memory import Memory
from worker.classify import classify_files
from worker.labelling import Labeller

if TYPE_CHECKING:
    from pathlib import Path

    from archive.places.contract import Contents, Place
    from common.settings import Settings
    from models.ready_model import ReadyModel

GOLDFINCH = "n01531178_goldfinch.jpg"


@pytest.fixture
def memory(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """Two photos and a text of `mem://holiday`, and a photo of `mem://holiday2`."""
    bird = (photos / GOLDFINCH).read_bytes()
    place = Memory(
        {
            "mem://holiday/bird.jpg": bird,
            "mem://holiday/2024/broken.jpg": b"no picture",
            "mem://holiday/notes.txt": b"Milk",
            "mem://holiday2/secret.jpg": bird,
        }
    )
    places: tuple[Place, ...] = (place, *archive.places.PLACES)
    monkeypatch.setattr(archive.places, "PLACES", places)
    return place


@pytest.mark.usefixtures("memory")
def test_a_root_is_found_among_those_of_other_kinds_and_one_inside_another_once(root: Path) -> None:
    typed = ["mem://holiday/", str(root), "mem://holiday/2024", "mem://holiday2"]
    assert find_roots(typed) == ("mem://holiday", str(root), "mem://holiday2")


@pytest.mark.usefixtures("memory")
def test_a_root_that_is_missing_is_named_as_a_missing_folder_is() -> None:
    with pytest.raises(ArchiveError, match="mem://nothing cannot be read: No such file or directory"):
        find_roots(["mem://nothing"])


@pytest.mark.usefixtures("memory")
def test_its_images_are_scanned_with_globs_and_counts() -> None:
    counts = ScanCounts()

    found = [ref.path for ref in scan(["mem://holiday"], exclude=["2024/*"], counts=counts)]

    assert (found, counts.ignored) == (["mem://holiday/bird.jpg"], 1)


@pytest.mark.usefixtures("memory")
def test_a_sample_is_drawn_from_it_and_says_what_was_skipped() -> None:
    drawn = draw_sample(["mem://holiday", "mem://holiday2"], load_settings(), 10, 60)

    assert (len(drawn.refs), drawn.found, drawn.is_whole, drawn.counts.ignored) == (3, 3, True, 1)


def test_its_images_are_read_ahead_with_their_version(memory: Memory) -> None:
    data = memory.images["mem://holiday/bird.jpg"]

    file = Reader(10**9).read("mem://holiday/bird.jpg", ["mem://holiday"])

    assert (file.data, file.size, file.mtime_ns) == (data, len(data), zlib.crc32(data))


@pytest.mark.parametrize(
    "location",
    ["mem://holiday2/secret.jpg", "mem://holiday/../holiday2/secret.jpg", "/etc/passwd", "mem://holidays.jpg"],
)
def test_what_lies_outside_of_the_roots_is_never_opened(memory: Memory, location: str) -> None:
    with pytest.raises(ImageError) as caught:
        Reader(10**9).read(location, ["mem://holiday"])

    assert (caught.value.kind, memory.opened) == (FailureKind.OUTSIDE, [])


def test_no_image_is_blamed_where_its_root_is_gone(memory: Memory) -> None:
    memory.images.clear()

    with pytest.raises(ArchiveError, match="The archive mem://holiday is gone: nothing is left of it"):
        Reader(10**9).read("mem://holiday/bird.jpg", ["mem://holiday"])


def test_one_image_that_is_gone_fails_alone(memory: Memory) -> None:
    del memory.images["mem://holiday/bird.jpg"]

    with pytest.raises(ImageError, match="forgotten") as caught:
        Reader(10**9).read("mem://holiday/bird.jpg", ["mem://holiday"])

    assert caught.value.kind is FailureKind.VANISHED


def test_its_images_are_labelled_beside_files(
    memory: Memory, photos: Path, resnet18: ReadyModel, settings: Settings
) -> None:
    images = [
        ChunkImage(1, "mem://holiday/bird.jpg"),
        ChunkImage(2, "mem://holiday/2024/broken.jpg"),
        ChunkImage(3, str(photos.resolve() / GOLDFINCH)),
    ]

    outcomes = Labeller(resnet18, settings).label(images, ["mem://holiday", str(photos.resolve())])

    bird, broken, file = sorted(outcomes, key=lambda outcome: outcome.image_id)
    assert bird.labels[0][0] == "goldfinch"
    assert (bird.labels, bird.content) == (file.labels, file.content)
    assert bird.mtime_ns == zlib.crc32(memory.images["mem://holiday/bird.jpg"])
    assert (broken.error_kind, broken.size) == ("not_an_image", len(b"no picture"))


def test_the_version_of_an_image_that_failed_unread_is_the_one_that_is_there(
    memory: Memory, resnet18: ReadyModel, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "read", _refuse)

    (outcome,) = Labeller(resnet18, settings).label([ChunkImage(1, "mem://holiday/bird.jpg")], ["mem://holiday"])

    data = memory.images["mem://holiday/bird.jpg"]
    assert (outcome.error_kind, outcome.size, outcome.mtime_ns) == ("unreadable", len(data), zlib.crc32(data))


def _refuse(*_: object) -> Contents:
    raise ImageError(FailureKind.UNREADABLE, "no key to it")


@pytest.mark.usefixtures("memory", "resnet18")
def test_one_of_its_images_is_classified_by_name(settings: Settings) -> None:
    bird, missing = classify_files(["mem://holiday/bird.jpg", "mem://holiday/none.jpg"], settings)

    assert bird.labels[0][0] == "goldfinch"
    assert missing.error_kind == "vanished"


def test_its_roots_are_watched_and_one_that_is_an_image_fails_by_itself(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.archive_watch.ARCHIVE_EVERY_S", 0.01)
    watch = ArchiveWatch(["mem://holiday", "mem://holiday2/secret.jpg"])
    watch.start()
    del memory.images["mem://holiday2/secret.jpg"]
    time.sleep(0.1)
    watch.check()

    memory.images.clear()

    assert "mem://holiday: nothing is left of it" in wait_until(lambda: _problem_of(watch))
    watch.stop()


def _problem_of(watch: ArchiveWatch) -> str | None:
    try:
        watch.check()
    except ArchiveError as error:
        return str(error)
    return None


def test_a_place_that_is_not_registered_is_refused_by_its_scheme_before_anything_is_asked(root: Path) -> None:
    sentence = "s3://bucket/a.jpg cannot be read: s3:// is not supported here"
    with pytest.raises(ArchiveError, match=sentence):
        find_roots([str(root), "s3://bucket/a.jpg"])
    with pytest.raises(ArchiveError, match=sentence):
        find_image("s3://bucket/a.jpg")
    with pytest.raises(ArchiveError, match=sentence):
        Reader(1000).read("s3://bucket/a.jpg", ["s3://bucket"])
    with pytest.raises(ArchiveError, match="s3://bucket cannot be read"):
        next(scan(["s3://bucket"], counts=ScanCounts()))


@pytest.mark.parametrize("typed", ["photos", "~/photos", "/photos", "./s3://bucket", "C:/photos", "a:b"])
def test_whatever_has_no_scheme_is_a_path(typed: str) -> None:
    assert place_of(typed).knows("/photos/x.jpg")
