"""`nightlabel report`: which runs it is about, and what it answers to nonsense."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from storage.database import Database
from storage.schema_version import ensure_schema
from tests.unit.report.long_night import Faults, plant_long

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command import Nightlabel


@pytest.fixture
def nights(nightlabel: Nightlabel) -> Nightlabel:
    """Five nights in the database that the command takes by itself; in the first, a folder failed."""
    database = Database(f"sqlite:///{nightlabel.database}")
    ensure_schema(database)
    for number in range(5):
        faults = Faults(failing_folder=number == 0)
        plant_long(database, hours=0.02, faults=faults, root=f"/night-{number}")
    database.close()
    return nightlabel


def test_runs_stand_side_by_side_or_below_each_other(nights: Nightlabel) -> None:
    beside = nights("report", "--run", "1", "--run", "2", COLUMNS="80")
    assert beside.returncode == 0, beside.stderr
    assert beside.stdout.split("\n")[0].split() == ["run", "1", "run", "2"]
    assert "! run 1: In /night-0/2, " in beside.stdout

    below = nights("report", "--since", "1d", COLUMNS="80")
    assert below.returncode == 0, below.stderr
    assert [line.split()[0] for line in below.stdout.splitlines()[:6]] == ["run", "1", "2", "3", "4", "5"]
    assert max(len(line) for line in below.stdout.splitlines()[:6]) <= 80


def test_since_gives_other_programs_a_list_however_many_there_are(nights: Nightlabel) -> None:
    assert [run["run"]["id"] for run in json.loads(nights("report", "--since", "1d", "--json").stdout)["runs"]] == [
        *range(1, 6)
    ]
    assert json.loads(nights("report", "--json").stdout)["run"]["id"] == 5


def test_a_page_and_json_can_be_had_together(nights: Nightlabel) -> None:
    done = nights("report", "--json", "--html", "night.html")
    assert json.loads(done.stdout)["run"]["id"] == 5
    assert done.stderr == "The report is in night.html.\n"
    assert (nights.folder / "night.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--run", "7"], 5, "There is no run 7 in "),
        (["--run", "9" * 30], 5, f"There is no run {'9' * 30} in "),
        (["--since", "soon"], 2, "--since 'soon': use a day, a time as in 2026-11-24T22:00, or 12h or 7d ago."),
        (["--since", "999999999d"], 2, "--since '999999999d': use a day"),
        (["--since", "2999-01-01"], 5, "No run was started since 2999-01-01 in "),
        (["--run", "1", "--since", "1d"], 2, "--run and --since: choose one of them."),
    ],
)
def test_what_makes_no_sense_is_said(nights: Nightlabel, arguments: list[str], status: int, words: str) -> None:
    done = nights("report", *arguments)
    assert (done.returncode, words in done.stderr) == (status, True), done.stderr


def test_a_picture_that_took_the_place_of_a_labelled_one_is_not_shown_under_its_label(
    nightlabel: Nightlabel, archive: Callable[[int], Path]
) -> None:
    """It has the same size and time, as after a copy that keeps times; only its bytes tell."""
    small, large = sorted((archive(2) / "000").iterdir(), key=lambda path: path.stat().st_size)
    nightlabel("run", small.parent)
    status = large.stat()
    large.write_bytes(small.read_bytes().ljust(status.st_size, b"\0"))
    os.utime(large, ns=(status.st_atime_ns, status.st_mtime_ns))

    shown = nightlabel("report", "--html", "night.html")

    assert shown.returncode == 0, shown.stderr
    page = (nightlabel.folder / "night.html").read_text()
    assert (page.count("changed since"), page.count("data:image/jpeg")) == (1, 1)
