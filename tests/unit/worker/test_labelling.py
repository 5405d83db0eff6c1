"""The labeller: one outcome for every image, each with its own labels, whatever its neighbours are."""

from __future__ import annotations

import csv
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from storage.records import ChunkImage
from tests.unit.pictures.pictures import encoded
from worker.labelling import Labeller

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.records import Outcome

ORIENTATION_TAG = 0x0112
BATCH_SIZE = 4


@pytest.fixture(scope="module")
def labeller(resnet18: ReadyModel, settings: Settings) -> Labeller:
    """ResNet-18, in batches of four."""
    return Labeller(resnet18, settings.model_copy(update={"batch_size": BATCH_SIZE}))


@pytest.fixture(scope="module")
def night(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[ChunkImage]:
    """Fourteen files, three and a half batches; every third holds no picture."""
    folder = tmp_path_factory.mktemp("archive").resolve()
    good = iter(sorted(photos.glob("*.jpg"))[::9])
    images = []
    for number in range(14):
        path = folder / f"{number:02}.jpg"
        if number % 3 == 1:
            path.write_bytes(b"no picture")
        else:
            shutil.copy(next(good), path)
        images.append(ChunkImage(1000 + number, str(path)))
    return images


@pytest.fixture(scope="module")
def outcomes(labeller: Labeller, night: Sequence[ChunkImage]) -> dict[int, Outcome]:
    return by_id(label(labeller, *night))


def label(labeller: Labeller, *images: ChunkImage) -> list[Outcome]:
    return labeller.label(images, [os.path.dirname(images[0].path)])


def by_id(outcomes: Sequence[Outcome]) -> dict[int, Outcome]:
    return {outcome.image_id: outcome for outcome in outcomes}


def test_every_image_has_one_outcome(labeller: Labeller, night: Sequence[ChunkImage]) -> None:
    outcomes = label(labeller, *night)

    assert sorted(outcome.image_id for outcome in outcomes) == [image.image_id for image in night]


def test_a_bad_image_costs_only_itself(night: Sequence[ChunkImage], outcomes: dict[int, Outcome]) -> None:
    failed = [image.image_id for image in night if not outcomes[image.image_id].ok]

    assert failed == [image.image_id for image in night[1::3]]


def test_a_bad_image_has_a_reason_and_no_labels(night: Sequence[ChunkImage], outcomes: dict[int, Outcome]) -> None:
    bad = outcomes[night[1].image_id]

    assert (bad.labels, bad.error_kind, bad.error) == ((), "not_an_image", "not in a supported format")


def test_each_image_keeps_its_own_labels_among_failures(
    labeller: Labeller, night: Sequence[ChunkImage], outcomes: dict[int, Outcome]
) -> None:
    """Across batches with failures between, nobody gets a neighbour's: as when each is labelled alone."""
    alone = {image.image_id: label(labeller, image)[0] for image in night}

    differing = [
        image_id
        for image_id, outcome in outcomes.items()
        if [name for name, _ in outcome.labels] != [name for name, _ in alone[image_id].labels]
    ]

    assert differing == []


def test_the_photos_differ_in_what_they_show(outcomes: dict[int, Outcome]) -> None:
    """What the test above rests on: a neighbour's labels would be seen."""
    best = [outcome.labels[0][0] for outcome in outcomes.values() if outcome.ok]

    assert len(set(best)) >= len(best) - 1


def test_the_labels_are_three_and_the_best_comes_first(outcomes: dict[int, Outcome]) -> None:
    scores = [[score for _, score in outcome.labels] for outcome in outcomes.values() if outcome.ok]

    assert [row for row in scores if len(row) != 3 or row != sorted(row, reverse=True)] == []


def test_most_photos_are_labelled_as_what_they_show(labeller: Labeller, photos: Path) -> None:
    """Names of classes, not numbers: `truth.csv` has the same ones."""
    with (photos / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:20]
    images = [ChunkImage(number, str(photos.resolve() / row["file"])) for number, row in enumerate(rows)]

    outcomes = by_id(label(labeller, *images))

    assert sum(outcomes[number].labels[0][0] == row["label"] for number, row in enumerate(rows)) >= 14


def test_every_image_that_has_labels_has_timings(outcomes: dict[int, Outcome]) -> None:
    spent = [
        ms
        for outcome in outcomes.values()
        if outcome.ok
        for ms in (outcome.read_ms, outcome.decode_ms, outcome.infer_ms)
    ]

    assert [ms for ms in spent if not ms or ms <= 0] == []


def test_the_total_is_the_sum_of_the_timings(night: Sequence[ChunkImage], outcomes: dict[int, Outcome]) -> None:
    outcome = outcomes[night[0].image_id]

    parts = [outcome.read_ms, outcome.decode_ms, outcome.infer_ms]
    assert outcome.total_ms == pytest.approx(sum(ms for ms in parts if ms is not None))


def test_an_outcome_tells_which_version_of_the_file_was_read(
    night: Sequence[ChunkImage], outcomes: dict[int, Outcome]
) -> None:
    """Size and mtime, of failures as well: a file that was mended is seen to have changed."""
    differing = [
        image.path
        for image in night
        for status in [os.stat(image.path)]
        if (outcomes[image.image_id].size, outcomes[image.image_id].mtime_ns) != (status.st_size, status.st_mtime_ns)
    ]

    assert differing == []


def test_width_and_height_are_those_of_the_upright_picture(
    labeller: Labeller, photo: Image.Image, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 8
    (tmp_path / "turned.jpg").write_bytes(encoded(photo, "JPEG", exif=exif.tobytes()))

    (outcome,) = label(labeller, ChunkImage(1, str(tmp_path.resolve() / "turned.jpg")))

    assert (outcome.width, outcome.height) == (photo.height, photo.width)


def test_a_picture_with_the_wrong_ending_is_labelled(labeller: Labeller, photo: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "really-a.png").write_bytes(encoded(photo, "JPEG", quality=95))

    (outcome,) = label(labeller, ChunkImage(1, str(tmp_path.resolve() / "really-a.png")))

    assert outcome.labels[0][0] == "goldfinch"


def test_a_picture_that_is_damaged_in_part_has_labels_and_a_warning(
    labeller: Labeller, photo: Image.Image, tmp_path: Path
) -> None:
    """Its end is of another file, so the bird is still there."""
    data = encoded(photo, "JPEG", quality=95)
    (tmp_path / "sound.jpg").write_bytes(data)
    (tmp_path / "damaged.jpg").write_bytes(data[:-2000] + data[4000:5000] + data[-1000:])

    sound, damaged = label(
        labeller, *(ChunkImage(1, str(tmp_path.resolve() / f"{name}.jpg")) for name in ("sound", "damaged"))
    )

    assert sound.warning is None
    assert damaged.warning
    assert damaged.labels[0][0] == "goldfinch"


def test_an_image_that_is_gone_has_an_outcome_without_a_version(labeller: Labeller, tmp_path: Path) -> None:
    (tmp_path / "other.jpg").touch()
    (outcome,) = label(labeller, ChunkImage(1, str(tmp_path / "none.jpg")))

    assert (outcome.error_kind, outcome.size, outcome.mtime_ns) == ("vanished", None, None)


def test_an_image_that_its_disk_does_not_give_is_tried_again_by_the_next_run(labeller: Labeller) -> None:
    """Linux answers every read of this file with EIO, as a broken disk does."""
    (outcome,) = label(labeller, ChunkImage(1, f"/proc/{os.getpid()}/mem"))

    assert (outcome.error_kind, outcome.size, outcome.mtime_ns) == ("unreadable", None, None)


def test_the_limit_on_bytes_is_the_settings(
    resnet18: ReadyModel, settings: Settings, tmp_path: Path, photo: Image.Image
) -> None:
    """A file of 1,000,001 bytes is over a limit of one megabyte, whatever is in it."""
    (tmp_path / "large.jpg").write_bytes(encoded(photo, "JPEG").ljust(1_000_001, b"\0"))
    small = Labeller(resnet18, settings.model_copy(update={"max_file_mb": 1}))

    (outcome,) = label(small, ChunkImage(1, str(tmp_path.resolve() / "large.jpg")))

    assert outcome.error_kind == "too_large"


def test_no_images_have_no_outcomes(labeller: Labeller) -> None:
    assert labeller.label([], ["/"]) == []
