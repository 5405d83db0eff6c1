"""The tables of what labels mean, and their filling from `vocabulary`. `storage/migrations` creates them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    Column,
    Integer,
    String,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
)

from storage.tables import metadata
from vocabulary.kinds import classes, parents, with_parents
from vocabulary.languages import LANGUAGES
from vocabulary.names import kind_names, label_names
from vocabulary.tables import version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection

#: Which tables of `vocabulary` these were filled from: one row.
vocabulary = Table("vocabulary", metadata, Column("version", String(32), primary_key=True))

#: What people call the things that classes show, and what those are in turn.
kinds = Table("kinds", metadata, Column("kind", Text, primary_key=True), Column("parent", Text))

#: Each kind with itself and everything above it.
kind_parents = Table(
    "kind_parents",
    metadata,
    Column("thing", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    sqlite_with_rowid=False,
)

#: ImageNet's labels.
class_kinds = Table(
    "class_kinds",
    metadata,
    Column("label", Text, primary_key=True),
    Column("class_index", Integer, nullable=False),
    Column("kind", Text, nullable=False),
)

class_names = Table(
    "class_names",
    metadata,
    Column("language", Text, primary_key=True),
    Column("class_index", Integer, primary_key=True),
    Column("label", Text, nullable=False),
    Column("name", Text, nullable=False),
    sqlite_with_rowid=False,
)

kind_names_table = Table(
    "kind_names",
    metadata,
    Column("language", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, nullable=False),
    sqlite_with_rowid=False,
)

_TABLES = (vocabulary, kinds, kind_parents, class_kinds, class_names, kind_names_table)


def has_vocabulary(connection: Connection) -> bool:
    """Tell whether a database's tables of labels and kinds are this program's."""
    return connection.execute(select(vocabulary.c.version)).scalar() == version()


def may_write_vocabulary(connection: Connection) -> bool:
    """Tell whether this role may fill the tables: one that only labels needs no right to."""
    if connection.dialect.name != "postgresql":
        return True
    rights = (func.has_table_privilege(table.name, right) for table in _TABLES for right in ("INSERT", "DELETE"))
    return bool(connection.execute(select(and_(*rights))).scalar())


def write_vocabulary(connection: Connection) -> None:
    """Fill the tables of labels and kinds anew; what images were labelled as stays as it is."""
    for table in _TABLES:
        connection.execute(delete(table))
    _fill(connection, kinds, list(parents().items()))
    _fill(connection, kind_parents, [(thing, kind) for kind in parents() for thing in with_parents(kind)])
    _fill(connection, class_kinds, [(one.label, one.class_index, one.kind) for one in classes()])
    for language in LANGUAGES:
        called = label_names(language)
        _fill(
            connection,
            class_names,
            [(language, one.class_index, one.label, called[one.label]) for one in classes()],
        )
        _fill(connection, kind_names_table, [(language, kind, name) for kind, name in kind_names(language).items()])
    connection.execute(insert(vocabulary), {"version": version()})


def _fill(connection: Connection, table: Table, rows: Sequence[Sequence[object]]) -> None:
    """Insert rows with values of all columns, sent as one parameter: on Postgres, in a third of the time."""
    is_sqlite = connection.dialect.name == "sqlite"
    each = func.json_each if is_sqlite else func.json_array_elements
    row = each(cast(bindparam("rows"), Text if is_sqlite else JSON)).table_valued("value").c.value

    def value(place: int, column: Column[Any]) -> ColumnElement[Any]:
        return func.json_extract(row, f"$[{place}]") if is_sqlite else cast(row.op("->>")(place), column.type)

    values = select(*(value(place, column) for place, column in enumerate(table.columns)))
    sent = json.dumps(rows, ensure_ascii=False)
    connection.execute(insert(table).from_select(table.columns.keys(), values), {"rows": sent})
