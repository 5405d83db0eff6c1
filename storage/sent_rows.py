"""Rows that are sent along with a statement, which selects from them as from a table.

They are sent as JSON, or as an array per column: a parameter per value costs SQLAlchemy and the driver more than the
database's own work on it. Sources: https://sqlite.org/json1.html#jeach; PostgreSQL's manual, «unnest».
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, BigInteger, Integer, Text, bindparam, func, select, type_coerce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, FromClause, Table


def table_of(is_sqlite: bool, table: Table, columns: tuple[str, ...], *, with_place: bool = False) -> FromClause:  # noqa: FBT001 - which of the two
    """Return rows with some of a table's columns, and their number, from 0, as `place`, if that is asked for."""
    kinds = {name: table.c[name].type for name in columns}
    if is_sqlite:
        each = func.json_each(bindparam("rows", type_=Text())).table_valued("key", "value")
        values = (func.json_extract(each.c.value, f"$[{number}]") for number in range(len(columns)))
        named = zip(values, kinds.items(), strict=True)
        places = [type_coerce(each.c.key, Integer).label("place")] if with_place else []
        return select(*(type_coerce(value, kind).label(name) for value, (name, kind) in named), *places).subquery()
    arrays = (bindparam(f"rows_{name}", type_=ARRAY(kind)) for name, kind in kinds.items())
    if not with_place:
        return func.unnest(*arrays).table_valued(*columns).render_derived()
    rows = func.unnest(*arrays).table_valued(*columns, with_ordinality="number").render_derived()
    return select(*(rows.c[name] for name in columns), (rows.c.number - 1).label("place")).subquery()


def bound(is_sqlite: bool, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:  # noqa: FBT001 - which of the two
    """Return the parameters that fill the `table_of` these columns, with these rows."""
    if is_sqlite:
        return {"rows": json.dumps(rows, ensure_ascii=False)}
    return {f"rows_{name}": list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}


def number_at(is_sqlite: bool, name: str, place: ColumnElement[int]) -> ColumnElement[int]:  # noqa: FBT001 - which of the two
    """Return the number at a place, from 0, of those that are sent as the parameter `name`, by `bound_numbers`."""
    if is_sqlite:
        return func.json_extract(bindparam(name, type_=Text()), func.printf("$[%d]", place), type_=BigInteger)
    # Postgres takes no subscript after the cast that SQLAlchemy writes behind a parameter.
    numbers = func.coalesce(bindparam(name, type_=ARRAY(BigInteger, zero_indexes=True)))
    return numbers[place]


def bound_numbers(is_sqlite: bool, numbers: Sequence[int]) -> Any:  # noqa: ANN401, FBT001 - what the driver takes
    """Return numbers as `number_at` takes them."""
    return json.dumps(numbers) if is_sqlite else numbers
