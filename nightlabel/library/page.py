"""Serve the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightlabel.library.arguments import loaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.settings import Settings


def web(settings: Settings | None = None, is_ready: Callable[[str], None] = lambda _: None) -> None:
    """Serve the page until Ctrl-C, SIGTERM or SIGHUP: to try the model, see what it found, and say where it is wrong.

    Example:
        nightlabel.web(settings, is_ready=lambda address: print("Open", address))

    Args:
        settings: what can be set; `web_host`, `web_port` and `web_token` say where, and who may see it.
        is_ready: told the address at which the page is to be opened, with the token if there is one.

    Raises:
        UsageError: it cannot be served at this address, or the token is too short.

    """
    from web.server import serve

    serve(loaded(settings), is_ready)
