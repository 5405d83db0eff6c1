"""What a query of a person's own may cost, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from common.errors import UsageError

#: As tables and CSV show it: bytes, dates, JSON and all other types as the database writes them.
Value = str | int | float | bool | None


class Limits(NamedTuple):
    """What a query may cost."""

    time_limit_s: float
    max_rows: int
    max_bytes: int


@dataclass(frozen=True)
class Answered:
    """What a query answers, or the first part of it."""

    columns: tuple[str, ...]  #: two may have one name
    rows: tuple[tuple[Value, ...], ...]
    is_cut: bool  #: there were more rows than may be returned
    ms: float  #: until the last of them was there


def refused(reason: str) -> UsageError:
    """Return what is said of a query that the database refuses, with its reason."""
    return UsageError(f"The database refuses the query: {reason.rstrip('.')}.")
