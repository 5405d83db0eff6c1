"""`nightlabel find`: one small night, looked through in every form."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.command import Nightlabel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from common.settings import Settings

#: Photos of which ResNet-18 is sure, by where they lie in the archive.
PHOTOS = {
    "pets/dalmatian.jpg": "n02110341_dalmatian.jpg",
    "pets/pomeranian.jpg": "n02112018_Pomeranian.jpg",
    "pets 2/german shepherd.jpg": "n02106662_German_shepherd.jpg",
    "wild/lion.jpg": "n02129165_lion.jpg",
    "things/castle.jpg": "n02980441_castle.jpg",
    "things/caf\udce9.jpg": "n03272562_electric_locomotive.jpg",  # in Latin 1
}
DOGS = {name for name in PHOTOS if name.startswith("pets")}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, settings: Settings, photos: Path) -> Iterator[Nightlabel]:
    """A night over six photos. It is only read."""
    folder = tmp_path_factory.mktemp("find")
    for name, photo in PHOTOS.items():
        target = folder / "photos" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photos / photo, target)
    os.utime(folder / "photos" / "pets" / "dalmatian.jpg", (0, 0))
    with Nightlabel(folder, settings) as command:
        command.environment["NIGHTLABEL_WORKERS"] = "1"
        assert command("run", "photos").returncode == 0
        yield command


def found(night: Nightlabel, *arguments: str) -> list[str]:
    """Return the paths below the archive that a command finds."""
    done = night("find", *arguments, "--print0")
    assert (done.returncode, done.stderr) == (0, "")
    return [os.path.relpath(path, night.folder / "photos") for path in done.stdout.split("\0") if path]


def test_dogs_of_any_breed_are_found(night: Nightlabel) -> None:
    assert set(found(night, "dog")) == DOGS


def test_an_animal_is_a_dog_or_a_lion(night: Nightlabel) -> None:
    assert set(found(night, "animal")) == {*DOGS, "wild/lion.jpg"}


def test_a_name_of_two_words_needs_no_quotes(night: Nightlabel) -> None:
    assert found(night, "German", "shepherd", "--min-score", "0.1") == ["pets 2/german shepherd.jpg"]


def test_people_see_scores_and_paths(night: Nightlabel) -> None:
    lines = night("find", "Hund").stdout.splitlines()
    assert len(lines) == len(DOGS)
    assert all(line.split()[0].endswith("%") for line in lines)


@pytest.mark.parametrize(("language", "name"), [("de", "Dalmatiner"), ("zh", "斑点狗"), ("fr", "dalmatien")])
def test_each_picture_is_called_by_its_name_in_the_language(night: Nightlabel, language: str, name: str) -> None:
    assert f"pets/dalmatian.jpg  ({name})" in night("find", "dog", "--language", language).stdout
    documents = json.loads(night("find", "dog", "--json", NIGHTLABEL_LANGUAGE=language).stdout)
    assert ("dalmatian", name) in [(document["label"], document["name"]) for document in documents]


def test_programs_get_json_or_paths_and_the_first_are_the_surest(night: Nightlabel) -> None:
    documents = json.loads(night("find", "狗", "--json").stdout)
    paths = night("find", "dog", "--paths", "--limit", "2").stdout.splitlines()

    assert [document["path"] for document in documents[:2]] == paths
    assert [document["score"] for document in documents] == sorted(
        (document["score"] for document in documents), reverse=True
    )
    assert {document["by_person"] for document in documents} == {False}


def test_a_name_that_is_no_utf_8_comes_out_as_it_is_on_the_disk(night: Nightlabel) -> None:
    with night.start("find", "train", "--min-score", "0.2", "--print0") as process:
        assert process.stdout
        assert b"caf\xe9.jpg\0" in os.read(process.stdout.fileno(), 1000)
    assert r"caf\xe9.jpg" in night("find", "train", "--min-score", "0.2", "--paths").stdout


def test_folder_time_and_score_leave_out(night: Nightlabel) -> None:
    assert set(found(night, "dog", "--folder", "photos/pets")) == {"pets/dalmatian.jpg", "pets/pomeranian.jpg"}
    assert "pets/dalmatian.jpg" not in found(night, "dog", "--since", "1d")
    assert found(night, "castle", "--min-score", "1") == []


def test_what_nobody_knows_gets_the_nearest_names(night: Nightlabel) -> None:
    done = night("find", "dalmatain")
    assert done.returncode == 2
    assert "Nothing is called 'dalmatain'" in done.stderr
    assert "dalmatian" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("dog", "--json", "--paths"), 2),
        (("dog", "--min-score", "2"), 2),
        (("dog", "--limit", "0"), 2),
        (("dog", "--since", "yesterday"), 2),
        (("dog", "--db", "nowhere.db"), 5),
    ],
)
def test_what_makes_no_sense_is_told(night: Nightlabel, arguments: tuple[str, ...], status: int) -> None:
    done = night("find", *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert "Traceback" not in done.stderr
