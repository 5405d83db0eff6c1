"""Names by which the page may be asked for.

Another site can give its own name this machine's address, and then read what the page answers in its visitor's browser
(DNS rebinding): the browser still says the other site's name in `Host`.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable


def is_loopback(host: str) -> bool:
    """Tell whether only this machine's own programs reach a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class AllowedHosts:
    """Tells which values of `Host` are this page's own.

    An address never is another site's name. Where the page is bound to this machine alone, only its own addresses are
    right; elsewhere it has any of the machine's, and the machine's name.

    Args:
        bound: what the page is bound to.
        further: names that people gave besides, as of a proxy before the page.

    """

    def __init__(self, bound: str, further: Iterable[str] = ()) -> None:
        self._is_local = is_loopback(bound)
        self._further = {name.lower() for name in further}
        self._names = {"localhost", bound.lower(), *self._further}
        if not self._is_local:
            name = socket.gethostname().lower()
            short = name.partition(".")[0]
            self._names |= {name, short, f"{short}.local"}

    def allow(self, host: str) -> bool:
        """Tell whether the page may be asked by this `Host`, with or without a port."""
        name = _name_of(host)
        if name is None:
            return False
        if name in self._names:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._is_local

    def origins(self, host: str) -> tuple[str, ...]:
        """Return the `Origin` that our own forms have where the page is asked by this `Host`.

        A name that people gave may be that of a proxy with TLS, which tells nothing of it that could be believed.
        """
        schemes = ("http", "https") if _name_of(host) in self._further else ("http",)
        return tuple(f"{scheme}://{host.lower()}" for scheme in schemes)


def _name_of(host: str) -> str | None:
    """Return the name in `NAME:PORT`, `[ADDRESS]:PORT` or without a port; None: it is neither."""
    if not host or any(character in host for character in "/@\\?# \t"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return None
    return parts.hostname and parts.hostname.removesuffix(".")
