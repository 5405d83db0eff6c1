"""A SQLite file that is deleted, moved or replaced under a process: nothing is stored where no name leads.

On Linux and macOS an open file lives on without a name, and SQLite goes on writing to it without an error.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.errors import DatabaseBusyError, DatabaseError
from storage.database import Database
from storage.schema_version import ensure_schema
from tests.unit.storage.nights import ask, begin_run, change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "night.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{path}")
    ensure_schema(database)
    yield database
    database.close()


def delete(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def take_the_folder_away(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def make_another(path: Path, *, leaving: tuple[str, ...] = ()) -> None:
    """Make another night's database, and give it the name of the first, of which these files are left."""
    other = path.with_name("other.db")
    with_another = Database(f"sqlite:///{other}")
    ensure_schema(with_another)
    change(with_another, "create table note as select 'the other one' as words")
    with_another.close()
    for part in {"-wal", "-shm"} - set(leaving):
        path.with_name(path.name + part).unlink()
    os.replace(other, path)


@pytest.mark.parametrize("remove", [delete, move, take_the_folder_away])
def test_a_file_that_is_gone_is_neither_written_to_nor_made_anew(
    database: Database, path: Path, remove: Callable[[Path], None]
) -> None:
    begin_run(database)
    remove(path)
    for _ in range(2):  # the second time, no connection is left in the pool
        with pytest.raises(DatabaseError, match=r"night\.db is gone"):
            begin_run(database)
        with pytest.raises(DatabaseError, match=r"night\.db is gone"):
            ask(database, "select * from runs")
    assert not path.exists()


def test_a_file_that_is_put_back_is_gone_on_with(database: Database, path: Path) -> None:
    begin_run(database)
    hidden = path.with_name("hidden.db")
    path.rename(hidden)
    with pytest.raises(DatabaseError):
        ask(database, "select * from runs")
    hidden.rename(path)
    assert ask(database, "select id from runs") == [(1,)]


def test_a_file_that_took_the_name_is_what_is_read_from_then_on(database: Database, path: Path) -> None:
    begin_run(database)
    make_another(path)
    assert ask(database, "select words from note") == [("the other one",)]


def test_a_file_that_took_the_name_is_what_is_written_from_then_on(database: Database, path: Path) -> None:
    make_another(path)
    change(database, "update note set words = 'changed'")
    with_another = Database(f"sqlite:///{path}")
    assert ask(with_another, "select words from note") == [("changed",)]
    with_another.close()


def test_the_log_of_the_old_file_is_not_written_into_the_new_one(database: Database, path: Path) -> None:
    begin_run(database)
    make_another(path, leaving=("-wal", "-shm"))
    for _ in range(2):
        with pytest.raises(DatabaseError, match=r"was replaced.*remove .*night\.db-wal"):
            begin_run(database)
    for part in ("-wal", "-shm"):
        path.with_name(path.name + part).unlink()
    assert ask(database, "select words from note") == [("the other one",)]


def test_an_empty_file_in_its_place_is_a_new_database(database: Database, path: Path) -> None:
    begin_run(database)
    path.unlink()
    path.touch()
    ensure_schema(database)
    assert ask(database, "select count(*) from runs") == [(0,)]


def test_a_copy_in_its_place_is_another_file(database: Database, path: Path) -> None:
    """What a restored backup is: the same name, size and content."""
    begin_run(database)
    database.close()
    copy = path.with_name("copy.db")
    shutil.copy2(path, copy)
    assert ask(database, "select count(*) from runs") == [(1,)]
    for part in ("-wal", "-shm"):
        path.with_name(path.name + part).unlink()
    os.replace(copy, path)
    change(database, "create table note (id integer)")
    with_another = Database(f"sqlite:///{path}")
    assert ask(with_another, "select count(*) from note") == [(0,)]
    with_another.close()


def test_what_a_name_leads_to_is_compared_and_not_the_link(tmp_path: Path, path: Path, database: Database) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    through = Database(f"sqlite:///{link}")
    assert ask(through, "select count(*) from runs") == [(0,)]
    (tmp_path / "first.db").touch()
    path.rename(tmp_path / "moved.db")
    with pytest.raises(DatabaseError, match=r"link\.db is gone"):
        ask(through, "select count(*) from runs")
    through.close()


def test_a_transaction_in_whose_midst_the_file_is_deleted_is_not_said_to_be_stored(
    database: Database, path: Path
) -> None:
    def write_and_delete() -> None:
        with database.write() as connection:
            connection.execute(text("create table note (id integer)"))
            path.unlink()

    with pytest.raises(DatabaseError, match="is gone"):
        write_and_delete()


def test_a_transaction_in_whose_midst_the_file_is_replaced_is_worth_trying_again(
    database: Database, path: Path
) -> None:
    def write_and_replace() -> None:
        with database.write() as connection:
            connection.execute(text("create table lost (id integer)"))
            make_another(path)

    with pytest.raises(DatabaseBusyError, match="was replaced"):
        write_and_replace()
    change(database, "create table lost (id integer)")  # it is not there yet
