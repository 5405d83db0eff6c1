"""Which images lie below a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func

from storage.records import shown
from storage.tables import images

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


def below(folder: str) -> ColumnElement[bool]:
    """Say that an image lies in a folder or in one below it; the folder as an absolute path, as `os` gives it."""
    path = shown(folder).rstrip("/") + "/"
    return func.substr(images.c.path, 1, len(path)) == path  # LIKE ignores case on SQLite, and takes % and _ for more
