"""Create, check and migrate the schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from common.errors import DatabaseError
from storage.database import lock_schema
from storage.location import refuse_network

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from storage.database import Database

#: The newest revision in `storage/migrations`; a test holds them together. Known here, so that a worker
#: checks the schema without importing Alembic.
REVISION = "0004"


def ensure_schema(database: Database) -> None:
    """Create the schema in an empty database, and check it in any other.

    Raises:
        DatabaseError: the schema is of another version than this program, or SQLite's file is on a network share.

    """
    refuse_network(database)
    with database.read() as connection:
        found = _revision(connection)
    if found is None:
        upgrade(database)
    else:
        _refuse_other(database, found)


def check_schema(database: Database) -> None:
    """Check the schema of a database that must be there already.

    Raises:
        DatabaseError: there is no such database, it holds nothing of ours, or its schema is of another version.

    """
    if database.is_missing:
        raise DatabaseError(
            f"There is no database {database.shown}. `nightlabel run PATH` makes one; --db names another."
        )
    with database.read() as connection:
        found = _revision(connection)
    if found is None:
        raise DatabaseError(f"The database {database.shown} is empty. `nightlabel run PATH` fills it.")
    _refuse_other(database, found)


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the schema to this program's version; return the revision before and after.

    Raises:
        DatabaseError: the schema is newer than this program.

    """
    with database.write() as connection:
        lock_schema(connection)
        found = _revision(connection)
        if found is not None and found > REVISION:
            _refuse_other(database, found)
        if found != REVISION:
            _migrate(connection)
    return found, REVISION


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _refuse_other(database: Database, found: str) -> None:
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
