"""`nightlabel db`: the database's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("db")
def upgrade(settings: Settings) -> None:
    """Bring the database to this program's schema. Stop the workers first.

    Example: nightlabel db upgrade --db postgresql://nas/photos
    """
    upgraded = library.upgrade_database(settings)
    if upgraded.before == upgraded.after:
        change = f"is at schema {upgraded.after} already"
    else:
        change = f"went from schema {upgraded.before or 'none'} to {upgraded.after}"
    say(f"{upgraded.database} {change}.")
