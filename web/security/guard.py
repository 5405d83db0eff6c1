"""Turn away what does not come from the page itself, or from a person with the token."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse

from web.security.refused import refused

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from web.security.hosts import AllowedHosts

COOKIE = "nightlabel-token"
#: Seconds that a browser keeps the token: a year.
_COOKIE_S = 365 * 24 * 3600
_SAFE_METHODS = ("GET", "HEAD")
#: Asked by programs that have no token, and tells nothing but whether the page works.
_OPEN_PATHS = ("/healthz", "/readyz")
_OWN_SITE = ("same-origin", "none")


class Guard:
    """Checks `Host`, where the request comes from, and the token, before anything else looks at a request."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts, token: str | None) -> None:
        self._app = app
        self._hosts = hosts
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no WebSockets here
            return
        request = Request(scope)
        answer = self._unknown_host(request) or self._foreign(request) or self._without_token(request)
        await (answer or self._app)(scope, receive, send)

    def _unknown_host(self, request: Request) -> Response | None:
        given = request.headers.getlist("host")
        if len(given) == 1 and self._hosts.allow(given[0]):
            return None
        return refused(
            request,
            400,
            "The page is not known by this host name. If it is yours, allow it: nightlabel web --allowed-host NAME.",
        )

    def _foreign(self, request: Request) -> Response | None:
        """Turn away what another site has a browser ask: a form of theirs, a picture in their page, a frame.

        Browsers say so; programs say neither, and are nobody's browser. Sources: RFC 6454, Fetch Metadata.
        """
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
        is_safe = request.method in _SAFE_METHODS
        is_own = origin is None or origin.lower() in self._hosts.origins(request.headers["host"])
        if not is_own and not (is_safe and site in _OWN_SITE):
            return refused(request, 403, "This was sent by another site.")
        if site not in _OWN_SITE and not (is_safe and _is_followed_link(request.headers)):
            return refused(request, 403, "Another site asks for this.")
        return None

    def _without_token(self, request: Request) -> Response | None:
        if self._token is None or request.url.path in _OPEN_PATHS:
            return None
        query = parse_qsl(request.url.query, keep_blank_values=True)
        given = [value for name, value in query if name == "token"]
        if given and request.method in _SAFE_METHODS and self._is_right(given[0], self._token):
            return self._let_in(request, urlencode([pair for pair in query if pair[0] != "token"]))
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_right(sent, self._token):
            return None
        if self._is_right(request.cookies.get(COOKIE, ""), _cookie_of(self._token)):
            return None
        return refused(
            request,
            401,
            "This page asks for the token that `nightlabel web` printed when it started.",
            asks_token=True,
        )

    def _let_in(self, request: Request, query: str) -> Response:
        """Keep the token in a cookie, and take it out of the address, which histories and logs keep."""
        assert self._token
        # One slash: an address that begins with two names another host.
        path = f"/{request.url.path.lstrip('/')}"
        answer = RedirectResponse(f"{path}?{query}" if query else path, 303)
        answer.set_cookie(COOKIE, _cookie_of(self._token), max_age=_COOKIE_S, httponly=True, samesite="lax")
        return answer

    @staticmethod
    def _is_right(given: str, wanted: str) -> bool:
        return hmac.compare_digest(given.encode(), wanted.encode())


def _cookie_of(token: str) -> str:
    """Return what the cookie holds: it lets in, and does not tell the token."""
    return hashlib.sha256(f"nightlabel cookie {token}".encode()).hexdigest()


def _is_followed_link(headers: Headers) -> bool:
    """Tell whether a person follows a link, as of a bookmark or a mail; not a frame, an image, a script."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"
