"""What is written in an address behind its `?`: values that mean something, or an error that names them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from common.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

#: Digits of an id: of fewer than 19, each number fits a column.
_MOST_DIGITS = 18
#: Characters of a value: no name of a thing or a folder is longer.
_MOST_CHARACTERS = 5_000


def given_values(given: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """Return the values of these names that are not empty.

    Raises:
        UsageError: one is longer than any value, or holds a zero byte.

    """
    values = {name: value for name in names if (value := given.get(name, "").strip())}
    for name, value in values.items():
        if len(value) > _MOST_CHARACTERS or "\0" in value:
            raise UsageError(f"{name}: this is no value of a filter.")
    return values


def parsed(values: Mapping[str, str], name: str, parse: Callable[[str], Any]) -> Any:  # noqa: ANN401 - what it parses to
    """Return what a value means; None: there is no such value.

    Raises:
        UsageError: it means nothing.

    """
    if name not in values:
        return None
    try:
        return parse(values[name])
    except (ValueError, KeyError, OverflowError):
        raise UsageError(f"{name}={values[name][:40]!r} is no value of this filter.") from None


def one_of(values: Mapping[str, str], name: str, known: tuple[Any, ...]) -> Any:  # noqa: ANN401 - one of them
    """Return a value that is one of those that are known; raise as `parsed` does."""
    return parsed(values, name, lambda value: known[known.index(value)])


def row_id(value: str) -> int:
    """Return the id that a value is; ValueError: it is none."""
    if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS):
        raise ValueError(value)
    return int(value)


def folder_path(value: str) -> str:
    """Return a value that names a folder; ValueError: it names none."""
    if not (os.path.isabs(value) or "://" in value):
        raise ValueError(value)
    return value
