"""The database is the file that was named, whatever characters its name has, on every command."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command import Nightlabel

NAMES = ["Who is this?/it's labels.db", os.fsdecode(b"f\xfcr mich/file:1.db"), "-a b#%41.db", "./:memory:"]


def files_in(folder: Path) -> set[str]:
    return {
        os.path.relpath(os.path.join(where, name), folder)
        for where, _, names in os.walk(folder)
        for name in names
        if not name.endswith(("-wal", "-shm"))
    }


def make_folder_of(name: str, folder: Path) -> str:
    """Make the folders that a name needs; return where its file will be."""
    for number in range(1, len(parts := name.split("/"))):
        os.makedirs(os.path.join(folder, *parts[:number]), exist_ok=True)
    return os.path.relpath(os.path.realpath(os.path.join(folder, name)), os.path.realpath(folder))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_every_command_and_the_workers_of_a_run_open_exactly_the_file_that_was_named(
    nightlabel: Nightlabel, archive: Callable[[int], Path], name: str
) -> None:
    folder = archive(3)
    (folder / "000" / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    file = make_folder_of(name, nightlabel.folder)
    done = nightlabel("run", f"--db={name}", "--workers", "1", folder)
    assert done.returncode == 0, done.stderr
    for command in (("db", "upgrade"), ("status",), ("export",), ("report", "--json")):
        asked = nightlabel(*command, f"--db={name}")
        assert asked.returncode == 0, asked.stderr
    assert files_in(nightlabel.folder) == {file}
    with closing(sqlite3.connect(os.path.join(nightlabel.folder, file))) as stored:
        assert stored.execute("select count(*) from results").fetchone() == (4,)


@pytest.mark.parametrize("name", ["", ":memory:", "."])
def test_a_name_that_is_no_file_is_refused_and_nothing_is_made(nightlabel: Nightlabel, name: str) -> None:
    refused = nightlabel("run", ".", "--db", name)
    assert (refused.returncode, files_in(nightlabel.folder)) == (2, set())
    assert "NIGHTLABEL_DATABASE_URL" in refused.stderr
