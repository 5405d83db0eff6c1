"""`nightlabel web`: the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightlabel import library
from nightlabel.options import MODEL, takes_settings
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("host", "port", "allowed_host", "db", "broker", *MODEL, "language")
def web(settings: Settings) -> None:
    """Serve a page: try the model, look at what it found, watch runs, and say where it was wrong.

    Example: nightlabel web --db nightlabel.db
    """
    library.web(settings, lambda address: say(f"The page is at {address}\nCtrl-C ends it."))
