"""Sidecars of real photos, read back by the programs that photo managers are made of."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from export.xmp import Sidecar
from export.xmp_fields import Keywords
from tests.command import Nightlabel
from tests.conftest import copy_photos, missing
from tests.unit.export.sidecar_samples import DIGIKAM, LIGHTROOM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from common.settings import Settings

PERSONS = {"digikam": DIGIKAM, "lightroom": LIGHTROOM}
PATHS = {
    "de": [("Tier", "Säugetier", "Hund", "Golden Retriever"), ("Gegenstand", "Möbel")],
    "zh": [("动物", "哺乳动物", "狗", "金毛寻回犬"), ("物品", "家具")],
}
#: As exiftool calls them, with the kind of separator.
FIELDS = {
    "XMP-lr:HierarchicalSubject": "|",
    "XMP-digiKam:TagsList": "/",
    "XMP-microsoft:LastKeywordXMP": "/",
}
#: As exiv2 calls them, with the kind of list and of separator.
EXIV2_FIELDS = {
    "Xmp.lr.hierarchicalSubject": ("XmpBag", "|"),
    "Xmp.digiKam.TagsList": ("XmpSeq", "/"),
    "Xmp.MicrosoftPhoto.LastKeywordXMP": ("XmpBag", "/"),
}


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        missing(f"no {name} on PATH (Debian: apt-get install libimage-exiftool-perl exiv2)")
    assert found
    return found


def exiftool(path: Path) -> dict[str, Any]:
    """Return what exiftool reads: of a list, its items."""
    read = [program("exiftool"), "-j", "-G1", "-a", "-sep", "\n", "-XMP:all", "-warning", "-error", str(path)]
    (found,) = json.loads(subprocess.run(read, check=True, capture_output=True).stdout)
    return {name: str(value).split("\n") for name, value in found.items()}


def exiv2(path: Path) -> dict[str, tuple[str, list[str]]]:
    """Return what exiv2 reads: of each property the kind of list, and its items."""
    read = [program("exiv2"), "-q", "-PXkyv", str(path)]
    lines = subprocess.run(read, check=True, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"})
    found = [line.split(maxsplit=2) for line in lines.stdout.splitlines()]
    return {name: (kind, rest[0].split(", ") if rest else []) for name, kind, *rest in found}


@pytest.mark.parametrize("language", PATHS)
@pytest.mark.parametrize("before", [None, *PERSONS])
def test_exiftool_and_exiv2_read_all_fields(tmp_path: Path, language: str, before: str | None) -> None:
    keywords = Keywords.from_paths(PATHS[language])
    sidecar = Sidecar.parse(PERSONS[before].encode()) if before else Sidecar.new()
    sidecar.merge(keywords, language)
    path = tmp_path / "a.jpg.xmp"
    path.write_bytes(sidecar.to_bytes())

    by_exiftool, by_exiv2 = exiftool(path), exiv2(path)
    assert complaints(by_exiftool) == (complaints(exiftool(written(tmp_path, PERSONS[before]))) if before else {})
    assert set(keywords.words) <= set(by_exiftool["XMP-dc:Subject"]) & set(by_exiv2["Xmp.dc.subject"][1])
    assert by_exiv2["Xmp.dc.subject"][0] == "XmpBag"
    for name, separator in FIELDS.items():
        assert ours(by_exiftool[name], separator) == list(keywords.paths)
    for name, (kind, separator) in EXIV2_FIELDS.items():
        assert by_exiv2[name][0] == kind
        assert ours(by_exiv2[name][1], separator) == list(keywords.paths)
    for name, value in (exiv2(written(tmp_path, PERSONS[before])) if before else {}).items():
        assert set(value[1]) <= set(by_exiv2[name][1])
        assert value[0] == by_exiv2[name][0]


def ours(items: list[str], separator: str) -> list[tuple[str, ...]]:
    return [tuple(item.split(separator)[1:]) for item in items if item.startswith(f"nightlabel{separator}")]


def complaints(found: dict[str, Any]) -> dict[str, Any]:
    """Return what exiftool finds wrong: of digiKam, the slash at the end of a namespace."""
    return {name: said for name, said in found.items() if name in ("ExifTool:Warning", "ExifTool:Error")}


def written(folder: Path, text: str) -> Path:
    path = folder / "before.xmp"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "write", [["exiftool", "-q", "-overwrite_original", "-XMP:Rating=5"], ["exiv2", "-Mset Xmp.xmp.Rating 5"]]
)
def test_ours_is_still_known_once_another_program_wrote_the_sidecar_anew(tmp_path: Path, write: list[str]) -> None:
    sidecar = Sidecar.parse(LIGHTROOM.encode())
    sidecar.merge(Keywords.from_paths(PATHS["de"]), "de")
    path = tmp_path / "a.jpg.xmp"
    path.write_bytes(sidecar.to_bytes())
    subprocess.run([program(write[0]), *write[1:], path], check=True)

    again = Sidecar.parse(path.read_bytes())
    assert not again.merge(Keywords.from_paths(PATHS["de"]), "de")
    assert again.remove()
    path.write_bytes(again.to_bytes())
    found = exiv2(path)
    assert found.pop("Xmp.xmp.Rating") == ("XmpText", ["5"])
    assert found == exiv2(written(tmp_path, LIGHTROOM))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, photos: Path, settings: Settings) -> Iterator[Nightlabel]:
    """Twenty real photos, labelled."""
    folder = tmp_path_factory.mktemp("home")
    copy_photos(photos, folder / "photos", 20)
    with Nightlabel(folder, settings) as command:
        done = command("run", "photos")
        assert done.returncode == 0, done.stderr
        yield command


def test_real_photos_get_keywords_and_lose_them(labelled: Nightlabel) -> None:
    """And the scan, which goes by contents, takes no sidecar for a picture."""
    photos = labelled.folder / "photos"
    before = sorted(photos.rglob("*"))
    planned = labelled("sidecars", "--language", "de", "--dry-run")
    assert planned.stdout.splitlines()[-1].startswith("Sidecars would be: ")
    assert sorted(photos.rglob("*")) == before

    done = labelled("sidecars", "--language", "de")
    assert (done.returncode, done.stderr) == (0, "")
    made = sorted(photos.rglob("*.xmp"))
    assert done.stdout == f"Sidecars: {len(made)} created, 0 changed, 0 removed, 0 as they were.\n"
    assert len(made) >= 10
    assert planned.stdout.count("\ncreated") + planned.stdout.startswith("created") == len(made)
    for path in made:
        assert exiftool(path)["XMP-dc:Subject"]

    assert labelled("run", "photos").returncode == 0
    assert labelled.sql("select count(*) from images") == [(20,)]
    assert labelled("sidecars", "--remove").stdout.startswith(f"Sidecars: 0 created, 0 changed, {len(made)} removed")
    assert sorted(photos.rglob("*")) == before


def test_what_is_left_alone_is_named_and_the_exit_status_says_so(labelled: Nightlabel) -> None:
    photo = next(path for path in (labelled.folder / "photos").rglob("*.jpg"))
    sidecar = photo.with_name(f"{photo.name}.xmp")
    sidecar.write_text("no XML")
    done = labelled("sidecars", "--min-score", "0")
    sidecar.unlink()
    assert done.returncode == 6
    assert f"{sidecar} is left alone: it is not well-formed" in done.stderr
    assert done.stderr.endswith("nightlabel: 1 sidecar was left alone; named above, with the reason.\n")
    assert done.stdout == "Sidecars: 19 created, 0 changed, 0 removed, 0 as they were.\n"
    labelled("sidecars", "--remove")


@pytest.mark.parametrize("option", ["--min-score=2", "--language=xx", "--into=photos/000/00000.jpg"])
def test_an_option_that_makes_no_sense_is_refused(labelled: Nightlabel, option: str) -> None:
    done = labelled("sidecars", option)
    assert done.returncode == 2
    assert not list((labelled.folder / "photos").rglob("*.xmp"))
