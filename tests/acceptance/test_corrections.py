"""`nightlabel correct` and `nightlabel review`, as people and programs type them, on real labels."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from storage.records import shown
from tests.command import LONG_S, Nightlabel, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from common.settings import Settings

NOT_UTF8 = b"caf\xe9.jpg"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, settings: Settings, photos: Path) -> Iterator[Nightlabel]:
    """Eight photos that ResNet-18 labelled, one of a name that is not UTF-8, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("corrections")
    archive = folder / "archive"
    archive.mkdir()
    for number, photo in enumerate(sorted(photos.glob("*.jpg"))[:8]):
        shutil.copyfile(photo, archive / f"{number}.jpg")
    os.rename(archive / "7.jpg", os.fsencode(archive) + b"/" + NOT_UTF8)
    (archive / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    with Nightlabel(folder, settings) as command:
        done = command("run", "archive", NIGHTLABEL_WORKERS="1")
        assert done.returncode == 0, done.stderr
        command.environment |= {"LC_ALL": "C.UTF-8"}
        yield command


def review(night: Nightlabel, answers: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Answer a review as another program does: a line each."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "nightlabel", "review", *arguments],
        cwd=night.folder,
        env=night.environment,
        input=answers,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )


def results(night: Nightlabel, name: str) -> list[tuple[str, str | None, str]]:
    path = night.folder / "archive" / name
    return night.sql(f"select model, label, label_source from results where path = '{path}' order by model")


def test_what_is_said_is_told_in_a_line_and_replaced_and_taken_back(night: Nightlabel) -> None:
    path = night.folder / "archive" / "0.jpg"
    ((_, own, _),) = results(night, "0.jpg")

    named = night("correct", "archive/0.jpg", "--label", "Qualle")
    assert (named.returncode, named.stdout) == (0, f"{path}: jellyfish, as a person says\n"), named.stderr
    german = night("correct", path, "--not", "Hund", "--language", "de")
    assert german.stdout == f"{path}: Qualle, as a person says; not Hund\n"
    assert night("correct", path, "--wrong").stdout == f"{path}: no label (resnet18 says {own}); not {own}\n"
    assert night("correct", path, "--right").stdout == f"{path}: {own}, as a person says\n"
    undone = night("correct", path, "--undo")
    assert undone.stdout.startswith(f"{path}: {own}, as resnet18 says (")
    assert results(night, "0.jpg") == [("resnet18", own, "model")]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["archive/1.jpg"], 2, "Say one thing: --label NAME, --right, --wrong, --not NAME or --undo."),
        (["archive/1.jpg", "--right", "--wrong"], 2, "Say one thing: "),
        (["archive/1.jpg", "--undo"], 2, "Nothing to undo: "),
        (["archive/1.jpg", "--label", "Hund"], 2, "'Hund' is a kind: say which class of it, as Chihuahua, "),
        (
            ["archive/1.jpg", "--label", "tabbi"],
            2,
            "The model has no class that is called 'tabbi'. Did you mean: tabby",
        ),
        (["archive/1.jpg", "--right", "--model", "vgg16"], 2, "was not labelled by vgg16, but by resnet18."),
        (["archive/broken.jpg", "--right"], 2, "has no label: it failed ("),
        (["archive/nowhere.jpg", "--right"], 5, "nowhere.jpg is not in "),
        (["archive/1.jpg", "archive/nowhere.jpg", "--right"], 5, "nowhere.jpg is not in "),
    ],
)
def test_what_makes_no_sense_is_said_and_changes_nothing(
    night: Nightlabel, arguments: list[str], status: int, words: str
) -> None:
    done = night("correct", *arguments)
    assert (done.returncode, words in done.stderr) == (status, True), done.stderr
    assert [source for _, _, source in results(night, "1.jpg")] == ["model"]


def test_a_name_that_is_not_utf8_is_corrected(night: Nightlabel) -> None:
    done = night("correct", os.fsdecode(b"archive/" + NOT_UTF8), "--label", "tabby")
    assert done.stdout.endswith("/archive/caf\\xe9.jpg: tabby, as a person says\n"), done.stderr
    assert night("correct", os.fsdecode(b"archive/" + NOT_UTF8), "--undo").returncode == 0


def test_a_file_that_changed_since_is_not_spoken_of(night: Nightlabel) -> None:
    file = night.folder / "archive" / "2.jpg"
    before = file.read_bytes()
    file.write_bytes(before + b"\0")
    done = night("correct", file, "--right")
    file.write_bytes(before)
    assert (done.returncode, "has changed since it was labelled" in done.stderr) == (2, True)


def test_a_review_is_answered_stopped_and_resumed_and_the_report_counts_it(night: Nightlabel) -> None:
    first = review(night, "y\nn\n= no such thing\ntabby\nq\n", "--sample", "6", "--seed", "1")
    assert first.returncode == 0, first.stderr
    assert "1 of 6  " in first.stdout
    assert "  The model has no class that is called 'no such thing'." in first.stdout
    assert first.stdout.endswith("3 answers now, 3 of 6 to go: the same command goes on.\n")

    # The fourth is answered anew after one went back to it; the fifth is skipped, and then nothing comes.
    second = review(night, "n\nb\ny\ns\n")
    assert second.stdout.startswith("A review goes on, of which 3 of 6 pictures are done.\n")
    assert second.stdout.count("4 of 6  ") == 2
    assert "1 of 6  " not in second.stdout
    assert second.stdout.endswith("1 answer now, 1 skipped, 1 of 6 to go: the same command goes on.\n")
    assert review(night, "y\n").stdout.endswith("all 6 pictures are done. How right the model is: nightlabel report\n")

    assert "Accuracy   3 of 5 sampled labels right: 60 % (95 %: 23 to 88 %)" in night("report").stdout
    label = json.loads(night("report", "--json").stdout)["accuracy"]["label"]
    assert (label["right"], label["answers"]) == (3, 5)
    assert night.sql("select count(*) from results where label_source = 'person'") == [(5,)]
    done = review(night, "y\ny\n", "--sample", "9")
    assert "2 of 2  " in done.stdout
    assert "There is nothing to review in " in review(night, "y\n").stderr


def test_a_review_that_nobody_can_answer_says_so_at_once(night: Nightlabel) -> None:
    done = night("review")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nightlabel: Nobody is there to answer: standard input is no terminal, and is empty.")


def test_words_outlive_relabelling_another_model_and_a_move_and_a_terminal_asks(night: Nightlabel) -> None:
    assert night("correct", "archive/3.jpg", "--label", "pug").returncode == 0
    (night.folder / "archive" / "moved").mkdir()
    (night.folder / "archive" / "3.jpg").rename(night.folder / "archive" / "moved" / "there.jpg")
    again = night("run", "archive", "--relabel", NIGHTLABEL_WORKERS="1")
    other = night("run", "archive", "--model", "mobilenet_v2", NIGHTLABEL_WORKERS="1")
    assert (again.returncode, other.returncode) == (0, 0), other.stderr

    assert results(night, "moved/there.jpg") == [("mobilenet_v2", "pug", "person"), ("resnet18", "pug", "person")]
    assert results(night, "3.jpg") == [("resnet18", "pug", "person")]
    assert in_a_terminal(night, b"y\n\x04").count("  right? ") == 2  # Ctrl-D stops


def test_pictures_are_opened_where_there_is_a_display(night: Nightlabel) -> None:
    opened = night.folder / "opened"
    viewer = night.folder / "bin" / "xdg-open"
    viewer.parent.mkdir()
    viewer.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$1\" >> '{opened}'\n")
    viewer.chmod(0o755)
    path = f"{viewer.parent}:{os.environ['PATH']}"

    in_a_terminal(night, b"q\n", "--no-open", PATH=path, DISPLAY=":0")
    in_a_terminal(night, b"q\n", PATH=path, DISPLAY="", WAYLAND_DISPLAY="")
    said = in_a_terminal(night, b"q\n", PATH=path, DISPLAY=":0")

    given = os.fsdecode(wait_until(lambda: opened.read_bytes() if opened.exists() else None))
    assert given.count("\n") == 1
    assert shown(given.rstrip("\n")) in said


def in_a_terminal(night: Nightlabel, typed: bytes, *arguments: str, **environment: str) -> str:
    """Return what a dumb terminal shows of a review whose answers are typed ahead."""
    ours, theirs = pty.openpty()
    os.write(ours, typed)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "nightlabel", "review", *arguments],
        cwd=night.folder,
        env=night.environment | {"TERM": "dumb"} | environment,
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0, done.stderr
    return done.stdout
