"""A path longer than Postgres can index, and what a database refuses, end neither the run nor cost other images."""

from __future__ import annotations

import json
import os
import random
import shutil
from typing import TYPE_CHECKING

from PIL import Image
from sqlalchemy import text

from common.settings import load_settings
from storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command import Nightlabel


def bury(photo: Path, folder: Path, size: int) -> str:
    """Copy a photo to a path of so many random Chinese bytes, below this folder; return the path."""
    drawn = random.Random(0)  # noqa: S311 - the same in each run
    where = os.fspath(folder)
    while len(os.fsencode(where)) < size - 40:
        where += "/" + "".join(chr(drawn.randrange(0x4E00, 0x9FA5)) for _ in range(12))
    os.makedirs(where)
    return os.fspath(shutil.copyfile(photo, f"{where}/犬.jpg"))


def test_a_path_of_3000_chinese_bytes_is_labelled_like_any_other(
    nightlabel: Nightlabel, archive: Callable[[int], Path], database_url: str
) -> None:
    folder = archive(3)
    buried = bury(folder / "000" / "00000.jpg", folder, 3000)
    assert len(os.fsencode(buried)) > 2900
    done = nightlabel("run", folder, "--workers", "1", "--db", database_url)
    assert done.returncode == 0, done.stderr
    report = json.loads(nightlabel("report", "--json", "--db", database_url).stdout)
    assert (report["images"]["total"], report["images"]["failed"]) == (4, 0)
    exported = nightlabel("export", "--format", "jsonl", "--db", database_url).stdout
    label_of = {row["path"]: row["label_1"] for row in map(json.loads, exported.splitlines())}
    assert label_of[buried] == label_of[os.fspath(folder / "000" / "00000.jpg")]


def test_an_image_that_the_database_refuses_is_named_and_all_others_are_labelled(
    nightlabel: Nightlabel, archive: Callable[[int], Path], database_url: str
) -> None:
    folder = archive(5)
    shutil.copyfile(folder / "000" / "00000.jpg", folder / "000" / "refused.jpg")
    assert nightlabel("db", "upgrade", "--db", database_url).returncode == 0
    database = Database(load_settings(database_url=database_url).database_url)
    with database.write() as connection:
        connection.execute(
            text(
                "create trigger no before insert on images when new.path like '%refused%'"
                " begin select raise(abort, 'not that one'); end"
                if database.is_sqlite
                else "alter table images add constraint no check (path not like '%refused%')"
            )
        )
    database.close()
    done = nightlabel("run", folder, "--workers", "1", "--db", database_url)
    assert done.returncode == 0, done.stderr
    assert "refused.jpg is left out. The database" in done.stderr
    assert "does not take a value" in done.stderr
    report = json.loads(nightlabel("report", "--json", "--db", database_url).stdout)
    assert (report["images"]["total"], report["images"]["failed"]) == (5, 0)


def test_an_outcome_that_the_database_refuses_costs_its_own_image_alone(
    nightlabel: Nightlabel, archive: Callable[[int], Path], database_url: str
) -> None:
    folder = archive(5)
    Image.new("RGB", (37, 50), "red").save(folder / "000" / "refused.png")
    assert nightlabel("db", "upgrade", "--db", database_url).returncode == 0
    database = Database(load_settings(database_url=database_url).database_url)
    with database.write() as connection:
        connection.execute(
            text(
                "create trigger no before insert on outcomes when new.width = 37"
                " begin select raise(abort, 'not that wide'); end"
                if database.is_sqlite
                else "alter table outcomes add constraint no check (width is distinct from 37)"
            )
        )
    database.close()
    done = nightlabel("run", folder, "--workers", "1", "--db", database_url)
    assert done.returncode == 0, done.stderr
    exported = nightlabel("export", "--format", "jsonl", "--db", database_url).stdout
    rows = {os.path.basename(row["path"]): row for row in map(json.loads, exported.splitlines())}
    refused = rows.pop("refused.png")
    assert (refused["error_kind"], "does not take a value" in refused["error"]) == ("refused", True)
    assert [row["status"] for row in rows.values()] == ["ok"] * 5
