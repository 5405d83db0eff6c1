"""An archive is moved, the database is told, and the next night has nothing to do."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command import Nightlabel


def test_a_renamed_archive_is_all_up_to_date_once_it_was_moved(
    nightlabel: Nightlabel, archive: Callable[[int], Path], tmp_path: Path, database_url: str
) -> None:
    old, new = archive(4), tmp_path / "elsewhere" / "photos"
    db = "--db", database_url
    assert nightlabel("run", old, "--workers", "1", *db).returncode == 0
    new.parent.mkdir()
    old.rename(new)

    planned = nightlabel("move", old, new, "--dry-run", *db)
    assert planned.stdout.startswith(f"4 images and 1 run would be moved from {old} to {new}. Nothing was changed")
    empty = tmp_path / "empty"
    empty.mkdir()
    wrong = nightlabel("move", old, empty, *db)
    assert (wrong.returncode, wrong.stdout) == (6, "")
    assert f"None of the images that were looked for is in {empty}: there is no {empty}/" in wrong.stderr
    assert nightlabel("move", old, old, *db).returncode == 2
    nowhere = nightlabel("move", tmp_path / "nowhere", new, *db)
    assert (nowhere.returncode, f"Its runs were over {old}." in nowhere.stderr) == (5, True)

    moved = nightlabel("move", old, new, *db)
    assert moved.returncode == 0, moved.stderr
    assert moved.stdout.startswith(f"Moved 4 images and 1 run from {old} to {new}, in ")
    assert "Of 4 images looked for at the new place, 4 are there." in moved.stdout
    again = nightlabel("run", new, "--workers", "1", *db)
    assert again.returncode == 0, again.stderr
    exported = nightlabel("export", "--format", "csv", *db).stdout.splitlines()[1:]
    assert [line.startswith(f"{new}/") or f",{new}/" in line for line in exported] == [True] * 4
    assert "4 more had their labels already" in again.stdout
    of_runs = json.loads(nightlabel("report", "--run", "1", "--run", "2", "--json", *db).stdout)["runs"]
    told = [(one["run"]["roots"], one["images"]["total"], one["images"]["ok"]) for one in of_runs]
    assert told == [
        ([str(new)], 4, 4),
        ([str(new)], 0, 0),
    ]

    shutil.rmtree(new)
    unseen = nightlabel("move", new, "/nowhere/on this host/photos", *db)
    assert unseen.returncode == 0, unseen.stderr
    assert "/nowhere/on this host/photos is not seen from here, so nobody has looked" in unseen.stdout
