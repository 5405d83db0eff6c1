"""A database that version 0.1.0 made, with a run half done: it is migrated, keeps its labels, and is gone on with."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config

import storage.schema_version
from common.settings import load_settings
from storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.command import Nightlabel

#: What version 0.1.0 made.
SCHEMA = "0002"
TABLES = ("models", "categories", "runs", "images", "chunks", "manifest", "outcomes")
IMAGES, LABELLED = 24, 8


def make_schema(path: Path) -> None:
    database = Database(load_settings(database_url=str(path)).database_url)
    config = Config()
    config.set_main_option("script_location", str(Path(storage.schema_version.__file__).with_name("migrations")))
    with database.write() as connection:
        config.attributes.update(connection=connection, schema=None)
        command.upgrade(config, SCHEMA)
    database.close()


def copy(rows_of: Path, into: Path) -> None:
    """Copy what both schemas know of."""
    with closing(sqlite3.connect(into)) as connection:
        connection.execute("attach ? as newer", (str(rows_of),))
        for table in TABLES:
            names = ", ".join(f'"{name}"' for _, name, *_ in connection.execute(f"pragma main.table_info({table})"))
            connection.execute(f"insert into main.{table} ({names}) select {names} from newer.{table}")
        connection.commit()


@pytest.fixture
def folder(archive: Callable[[int], Path]) -> Path:
    return archive(IMAGES)


@pytest.fixture
def of_version_0_1_0(nightlabel: Nightlabel, folder: Path) -> Path:
    """A database with a run over 24 photos, of whose chunks the first is done, and the others are published."""
    newer = nightlabel.folder / "newer.db"
    nightlabel("run", folder, "--db", newer)
    older = nightlabel.database
    make_schema(older)
    copy(newer, older)
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("delete from outcomes where chunk_id > 1")
        connection.execute("update chunks set done_at = null, ok = null, failed = null where id > 1")
        connection.execute("update runs set follower = 'host:1', followed_at = '2026-01-01 00:00:00'")
        connection.commit()
    return older


@pytest.mark.usefixtures("of_version_0_1_0")
def test_it_is_refused_with_the_command_that_migrates_it_and_then_gone_on_with(
    nightlabel: Nightlabel, folder: Path
) -> None:
    before = nightlabel.sql("select image_id, label_1, score_1, labelled_at from outcomes order by image_id")
    refused = nightlabel("run", folder)
    assert (refused.returncode, "nightlabel db upgrade" in refused.stderr) == (5, True)

    upgraded = nightlabel("db", "upgrade")
    again = nightlabel("run", folder)

    assert upgraded.returncode == 0
    assert f"from schema {SCHEMA} to {storage.schema_version.REVISION}" in upgraded.stdout
    assert f"{LABELLED} results without kinds" in upgraded.stdout
    assert again.stderr.startswith("Resuming ")
    assert nightlabel.sql("select count(*), count(label_1) from results") == [(IMAGES, IMAGES)]
    kept = nightlabel.sql("select image_id, label_1, score_1, labelled_at from outcomes order by image_id")
    assert before == kept[: len(before)]
    assert len(before) == LABELLED


@pytest.mark.usefixtures("of_version_0_1_0")
def test_its_images_are_found_once_they_have_kinds(nightlabel: Nightlabel) -> None:
    nightlabel("db", "upgrade")
    before = nightlabel("find", "animal", "--paths")
    filled, again = nightlabel("db", "kinds"), nightlabel("db", "kinds")
    after = nightlabel("find", "animal", "--paths")

    assert (before.stdout, "nightlabel db kinds" in before.stderr) == ("", True)
    assert filled.stdout == f"{LABELLED} results got kinds, from three labels each.\n"
    assert again.stdout == "Nothing lacks kinds that could have them.\n"
    assert (len(after.stdout.splitlines()) > LABELLED // 2, after.stderr) == (True, "")
