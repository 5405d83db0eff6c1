"""Create, check and migrate the schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, String, Table, inspect, select, text

from common.errors import DatabaseError
from storage.database import Database, current_schema, lock_schema
from storage.encoding import raise_if_not_utf8
from storage.file_system import raise_if_network_file_system
from storage.vocabulary_tables import has_vocabulary, may_write_vocabulary, write_vocabulary

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: The newest revision in `storage/migrations`; a test holds them together. Known here, so that a worker
#: checks the schema without importing Alembic.
REVISION = "0007"


def ensure_schema(database: Database) -> None:
    """Create the schema in an empty database, and check it in any other.

    Raises:
        DatabaseError: the schema is of another version than this program, or SQLite's file is on a network share.

    """
    raise_if_network_file_system(database)
    found = _found(database)
    if found is None:
        upgrade(database)
    else:
        _raise_if_other_revision(database, found)
        _ensure_vocabulary(database)


def check_schema(database: Database) -> None:
    """Check the schema of a database that must be there already.

    Raises:
        DatabaseError: there is no such database, it holds nothing of ours, or its schema is of another version.

    """
    if database.is_missing:
        raise DatabaseError(
            f"There is no database {database.shown}. `nightlabel run PATH` makes one; --db names another."
        )
    found = _found(database)
    if found is None:
        raise DatabaseError(
            f"The database {database.shown} is empty. `nightlabel run PATH` fills it.{_elsewhere(database)}"
        )
    _raise_if_other_revision(database, found)


def existing_database(url: str) -> Database:
    """Open the database of whoever only reads: a mistyped name must not make an empty one.

    Raises:
        DatabaseError: as `check_schema` does.

    """
    database = Database(url)
    check_schema(database)
    return database


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the schema to this program's version; return the revision before and after.

    Raises:
        DatabaseError: the schema is newer than this program.

    """
    with database.write() as connection:
        raise_if_not_utf8(database, connection)
        lock_schema(connection)
        found = _revision(database, connection)
        if found is not None and found > REVISION:
            _raise_if_other_revision(database, found)
        if found != REVISION:
            _migrate(connection)
        elif not has_vocabulary(connection):
            write_vocabulary(connection)
    return found, REVISION


def _ensure_vocabulary(database: Database) -> None:
    """Have the database's names and kinds be this program's, which may be newer than the one that made it.

    Only queries read them: a role that may not write them labels all the same, and leaves them to one that may.
    """
    with database.read() as connection:
        if has_vocabulary(connection) or not may_write_vocabulary(connection):
            return
    with database.write() as connection:
        lock_schema(connection)
        if not has_vocabulary(connection):
            write_vocabulary(connection)


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    config.attributes["schema"] = current_schema(connection)
    command.upgrade(config, "head")


def _found(database: Database) -> str | None:
    with database.read() as connection:
        raise_if_not_utf8(database, connection)
        return _revision(database, connection)


def _revision(database: Database, connection: Connection) -> str | None:
    """Return the revision of our tables; on Postgres, of those in the schema in which new ones would be made."""
    schema = current_schema(connection)
    if schema is None and not database.is_sqlite:
        raise DatabaseError(
            f"The database {database.shown} has no schema of those that the role's search_path names"
            f" ({connection.execute(text('SHOW search_path')).scalar()}). Make one: CREATE SCHEMA …"
        )
    tables = inspect(connection)
    if not tables.has_table("alembic_version", schema):
        return None
    versions = Table("alembic_version", MetaData(), Column("version_num", String), schema=schema)
    revision: str | None = connection.execute(select(versions.c.version_num)).scalar()
    if not tables.has_table("manifest", schema):
        raise DatabaseError(
            f"The database {database.shown} is another program's: its schema is at {revision}, and has no tables of"
            " nightlabel's. Name another file or database, or give nightlabel a schema of its own"
            " (docs/several-hosts.md)."
        )
    return revision


def _elsewhere(database: Database) -> str:
    """Say where else, in the schemas that Postgres looks through, there are tables of ours."""
    if database.is_sqlite:
        return ""
    query = (
        "SELECT schemaname FROM pg_tables WHERE tablename IN ('chunks', 'manifest', 'outcomes')"
        " GROUP BY schemaname HAVING count(*) = 3 ORDER BY schemaname"
    )
    with database.read() as connection:
        here = current_schema(connection)
        others = ", ".join(connection.execute(text(query)).scalars())
    return f" It is looked for in the schema {here}; there are tables of nightlabel's in {others}." if others else ""


def _raise_if_other_revision(database: Database, found: str) -> None:
    if found > REVISION:
        raise DatabaseError(
            f"The database {database.shown} was made by a newer nightlabel (schema {found}; this one knows"
            f" {REVISION}). Upgrade nightlabel on this machine."
        )
    if found < REVISION:
        raise DatabaseError(
            f"The database {database.shown} has schema {found}, and this nightlabel needs {REVISION}."
            " Stop the workers and type: nightlabel db upgrade"
        )
