"""The schema: made once, checked by everyone, migrated on demand; the same on SQLite and Postgres."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

import storage.schema_version
from common.errors import DatabaseError
from common.settings import load_settings
from storage.correction_tables import corrections
from storage.database import Database
from storage.schema_version import REVISION, check_schema, ensure_schema, upgrade
from tests.unit.storage.nights import ask, change
from tests.unit.storage.processes import at_once

if TYPE_CHECKING:
    from collections.abc import Iterator

MIGRATIONS = Path(storage.schema_version.__file__).with_name("migrations")

#: What DESIGN.md promises of the views, in the order in which `select *` shows it, and what was added since.
RESULTS = [
    *("path", "model", "status", "label_1", "score_1", "label_2", "score_2", "label_3", "score_3"),
    *("error_kind", "error", "width", "height"),
    *("queue_ms", "read_ms", "decode_ms", "infer_ms", "total_ms", "worker", "run_id", "labelled_at"),
    *("precision", "weights", "size_bytes", "content", "modified_at", "image_id", "warning"),
    *("kind", "kind_score", "label", "label_source"),
    *("computed_in", "copied_from"),
]
LABELS = ["path", "rank", "label", "score", "model"]
THINGS = ["path", "thing", "score", "model", "image_id", "model_id"]
NAMES = ["class_index", "label", "language", "name"]

#: One more migration, as the next version of nightlabel may bring one.
NEXT_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "HEAD"


def upgrade() -> None:
    op.add_column("runs", sa.Column("note", sa.Text))
"""


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    database = Database(load_settings(database_url=database_url).database_url)
    yield database
    database.close()


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this program the next version, whose schema has one more migration."""
    folder = tmp_path / "next"
    shutil.copytree(MIGRATIONS, folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    migration = NEXT_MIGRATION.replace("HEAD", REVISION)
    (folder / "migrations" / "versions" / "next.py").write_text(migration)
    monkeypatch.setattr(storage.schema_version, "__file__", str(folder / "schema.py"))
    monkeypatch.setattr(storage.schema_version, "REVISION", "next")


def recorded_revision(database: Database) -> str:
    ((revision,),) = ask(database, "select version_num from alembic_version")
    return str(revision)


def test_an_empty_database_gets_this_versions_schema(empty: Database) -> None:
    ensure_schema(empty)
    assert recorded_revision(empty) == REVISION


def test_a_schema_that_is_there_is_left_alone(database: Database) -> None:
    change(database, "create table of_somebody_else (id integer)")
    ensure_schema(database)
    assert ask(database, "select * from of_somebody_else") == []


def test_the_revision_that_is_checked_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")  # of Postgres
def test_the_migrations_make_the_tables_that_the_statements_are_written_for(database: Database) -> None:
    def is_comparable(part: Any, name: str | None, kind: str, *_: object) -> bool:
        # What finds an image's path is of each database's own kind, and Alembic does not know it; `test_long_paths` and
        # `test_gallery` try it.
        return name not in ("images_by_name", "images_by_path") and (
            kind != "unique_constraint" or part.table.name != "images"
        )

    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": is_comparable})
        assert compare_metadata(context, corrections.metadata) == []


@pytest.mark.parametrize(
    ("view", "columns"), [("results", RESULTS), ("labels", LABELS), ("things", THINGS), ("names", NAMES)]
)
def test_a_view_has_the_promised_columns_in_one_order_on_every_database(
    database: Database, view: str, columns: list[str]
) -> None:
    with database.read() as connection:
        found = list(connection.execute(text(f"select * from {view}")).keys())
    assert found == columns


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    change(database, "update alembic_version set version_num = '9999'")
    with pytest.raises(DatabaseError, match="newer nightlabel"):
        ensure_schema(database)


def test_a_database_of_a_newer_version_is_not_upgraded(database: Database) -> None:
    change(database, "update alembic_version set version_num = '9999'")
    with pytest.raises(DatabaseError, match="newer nightlabel"):
        upgrade(database)


@pytest.mark.usefixtures("database", "next_version")
def test_a_database_of_an_older_version_is_refused_with_the_command_that_helps(empty: Database) -> None:
    with pytest.raises(DatabaseError, match="nightlabel db upgrade"):
        ensure_schema(empty)


@pytest.mark.usefixtures("database", "next_version")
def test_a_worker_does_not_migrate_a_database_by_itself(empty: Database) -> None:
    with pytest.raises(DatabaseError):
        ensure_schema(empty)
    assert recorded_revision(empty) == REVISION


@pytest.mark.usefixtures("database", "next_version")
def test_an_upgrade_brings_an_older_database_to_this_version(empty: Database) -> None:
    assert upgrade(empty) == (REVISION, "next")
    ensure_schema(empty)
    assert ask(empty, "select note from runs") == []


def test_an_upgrade_of_a_new_database_changes_nothing(database: Database) -> None:
    assert upgrade(database) == (REVISION, REVISION)


@pytest.mark.usefixtures("database", "next_version")
def test_a_migration_that_fails_leaves_the_database_as_it_was(empty: Database) -> None:
    change(empty, "alter table runs add column note text")  # which the next migration cannot add any more
    with pytest.raises(DatabaseError, match="note"):
        upgrade(empty)
    assert recorded_revision(empty) == REVISION


def test_a_database_without_tables_is_refused_by_what_only_reads(empty: Database) -> None:
    change(empty, "create table of_somebody_else (id integer)")
    with pytest.raises(DatabaseError, match="is empty"):
        check_schema(empty)


def test_a_mistyped_file_name_makes_no_empty_database(tmp_path: Path) -> None:
    mistyped = tmp_path / "nihgt.db"
    with pytest.raises(DatabaseError, match=r"There is no database .*nihgt\.db"):
        check_schema(Database(f"sqlite:///{mistyped}"))
    assert not mistyped.exists()


def create(url: str) -> None:
    ensure_schema(Database(url))


def test_processes_that_create_the_schema_at_once_all_succeed(empty: Database) -> None:
    url = empty.url.render_as_string(hide_password=False)
    assert at_once(create, [(url,)] * 4) == [os.EX_OK] * 4


def older_version(monkeypatch: pytest.MonkeyPatch, folder: Path, revision: str) -> None:
    """Make this program an older version, whose newest migration was this one."""
    shutil.copytree(MIGRATIONS, folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (folder / "migrations" / "versions").glob("*.py"):
        if file.name[: len(revision)] > revision:
            file.unlink()
    monkeypatch.setattr(storage.schema_version, "__file__", str(folder / "schema.py"))
    monkeypatch.setattr(storage.schema_version, "REVISION", revision)


def test_a_database_of_the_first_version_keeps_its_labels_and_the_views_that_people_made(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        older_version(patch, tmp_path / "first", "0001")
        ensure_schema(empty)
        values = "1, 1, 1, 1, 'ok', 'tabby', 0.5, 1.5, 'host-1/1', '2025-01-01 22:00:00+00:00'"
        for statement in (
            "insert into models values (1, 'k', 'resnet18', 'V1', 'w', 'fp32', '{}', null, '2025-01-01 22:00:00')",
            "insert into runs values (1, 1, 'openvino', '[]', '{}', '2025-01-01 22:00:00', null, null, null, 0, 0)",
            "insert into images values (1, '/photos/1.jpg', '', 10, 1700000000123456789)",
            "insert into chunks (id, run_id, images, attempt, starts, suspect_starts) values (1, 1, 1, 1, 1, 0)",
            (
                "insert into outcomes (image_id, model_id, run_id, chunk_id, status, label_1, score_1, total_ms,"
                f" worker, labelled_at) values ({values})"
            ),
            "create view cats as select path from results where label_1 = 'tabby'",
        ):
            change(empty, statement)

    assert upgrade(empty) == ("0001", REVISION)

    modified_at = "modified_at" if empty.is_sqlite else "modified_at at time zone 'UTC'"
    shown = f"path, label_1, content, substr(cast({modified_at} as text), 1, 19), computed_in, copied_from"
    row = ("/photos/1.jpg", "tabby", None, "2023-11-14 22:13:20", "fp32", None)
    assert ask(empty, f"select {shown} from results") == [row]
    assert ask(empty, "select path from cats") == [("/photos/1.jpg",)]
