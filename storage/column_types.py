"""Types of columns that are the same on SQLite and on Postgres."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An instant, always in UTC: `timestamptz` on Postgres, ISO text on SQLite, which knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: SQLite numbers rows by itself only where the type is spelt INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")
#: Larger ones fit no column; SQLite's driver does not even take them.
LARGEST_ID = 2**63 - 1
