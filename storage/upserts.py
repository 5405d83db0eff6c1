"""INSERT … ON CONFLICT DO UPDATE of many rows, as either database has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, literal_column, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, Dialect, Insert, Select, Table


def insert_into(table: Table, backend: str) -> Any:  # noqa: ANN401 - either dialect's
    """Return an INSERT that takes `on_conflict_do_…`."""
    if backend == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite

        return insert_sqlite(table)
    from sqlalchemy.dialects.postgresql import insert as insert_postgres

    return insert_postgres(table)


def upsert(
    backend: str,
    table: Table,
    key: tuple[str, ...],
    update: tuple[str, ...],
    columns: Mapping[str, ColumnElement[Any]],
) -> Insert:
    """Return a statement that inserts these columns, and updates some of them where the key is there already."""
    values = select(*(value.label(name) for name, value in columns.items()))
    return upsert_from(backend, table, key, update, tuple(columns), values)


def upsert_from(
    backend: str,
    table: Table,
    key: tuple[str, ...],
    update: tuple[str, ...],
    columns: tuple[str, ...],
    values: Select[*tuple[Any, ...]],
) -> Insert:
    """Return the same for what a SELECT finds. With no columns to update, a row whose key is there is left alone."""
    # WHERE: without it, SQLite takes ON CONFLICT for a join's ON. https://sqlite.org/lang_upsert.html
    insert = insert_into(table, backend).from_select(list(columns), values.where(literal_column("true")))
    found = table.info.get(f"{backend}_key", key)
    if not update:
        return insert.on_conflict_do_nothing(index_elements=found)  # type: ignore[no-any-return]
    return insert.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=found, set_={name: insert.excluded[name] for name in update}
    )


def parameters(table: Table, names: Iterable[str]) -> dict[str, ColumnElement[Any]]:
    """Return a parameter for each of a table's columns, under its name."""
    return {name: bindparam(name, type_=table.c[name].type) for name in names}


def for_driver(table: Table, values: Mapping[str, Any], dialect: Dialect) -> tuple[Any, ...]:
    """Return values of columns as SQLAlchemy gives them to the driver."""
    found = []
    for name, value in values.items():
        process = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        found.append(process(value) if process else value)
    return tuple(found)
