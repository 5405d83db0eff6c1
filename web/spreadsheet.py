"""Tables for spreadsheets, which run what looks like a formula: a file's name or a label may be one."""

from __future__ import annotations

#: What the begin of a formula is taken for. Source: OWASP, «CSV Injection»
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_text(value: object) -> object:
    """Return a cell's value, with an apostrophe before a text that a spreadsheet would run; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
