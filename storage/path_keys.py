"""What Postgres finds paths by: its indexes hold no more than 2,704 bytes of one. SQLite indexes whole paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Integer, LargeBinary, Text, func, literal_column

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause

#: Characters of a path that are in the index of paths.
PATH_HEAD_CHARACTERS = 256


def name_hash(names: FromClause) -> ColumnElement[bytes]:
    """Return what finds a name, whatever its length.

    `decode` takes any text, once its backslashes are doubled; a cast or `convert_to` no index may hold.
    """
    backslash = func.chr(literal_column("92"))
    name = names.c.path.concat(func.chr(literal_column("10"))).concat(names.c.path_hex)
    twice = func.replace(name, backslash, func.repeat(backslash, literal_column("2")))
    return func.sha256(func.decode(twice, literal_column("'escape'")), type_=LargeBinary)


def path_head(names: FromClause) -> ColumnElement[str]:
    """Return what finds the images of a folder, in the order of code points."""
    # As the index has it, and no parameters.
    characters = (literal_column(str(number), Integer) for number in (1, PATH_HEAD_CHARACTERS))
    return func.substr(names.c.path, *characters, type_=Text).collate("C")
