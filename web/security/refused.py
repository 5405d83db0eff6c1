"""The answer to what is turned away: for a person, or for a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import escape
from starlette.responses import HTMLResponse, JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>nightlabel</title></head>
<body><main><h1>nightlabel</h1><p>{sentence}</p>{form}</main></body></html>
"""
#: It opens the page's start: where the person wanted to go may not be theirs to see.
_FORM = """<form action="/" method="get"><label>Token <input name="token" type="password" required
 autocomplete="current-password"></label> <button>Open</button></form>"""


def refused(request: Request, status: int, sentence: str, *, asks_token: bool = False) -> Response:
    """Return an answer that says why, with nothing of the page's own in it.

    The rest of the request is not read: the connection ends.
    """
    headers = {"Connection": "close"}
    if asks_token:
        headers["WWW-Authenticate"] = "Bearer"
    if "text/html" in request.headers.get("accept", "") and request.method in ("GET", "HEAD"):
        page = _PAGE.format(sentence=escape(sentence), form=_FORM if asks_token else "")
        return HTMLResponse(page, status, headers)
    return JSONResponse({"error": sentence}, status, headers)
