"""The models that labelled something, by their ids: few, for names beside the filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from storage.tables import models

if TYPE_CHECKING:
    from storage.database import Database


def labelling_models(database: Database) -> dict[int, str]:
    """Return what each model is called: its architecture and its precision."""
    query = select(models.c.id, models.c.architecture, models.c.precision).order_by(models.c.id)
    with database.read() as connection:
        return {number: f"{architecture}, {precision}" for number, architecture, precision in connection.execute(query)}
