"""How much a request may send, and for how long."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.requests import Request

from web.security.refused import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Seconds for which what is too large may go on to come.
_MORE_S = 10.0


class _TooLargeError(Exception):
    """More came than may."""


class BodyLimit:
    """Ends a request whose body is too large, or comes too slowly: before any of it is kept, where its length is said.

    Args:
        app: what it is for.
        max_bytes: that a request for a path may have.
        max_seconds: in which all of it must have come.

    """

    def __init__(self, app: ASGIApp, max_bytes: Callable[[str], int], max_seconds: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._max_bytes(scope["path"])
        has_begun = False

        async def send_noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        body = _LimitedBody(receive, limit, self._max_seconds)
        request = Request(scope)
        said = request.headers.get("content-length", "0")
        status, why = 413, f"This is too large: at most {limit / 1e6:g} MB may be sent."
        try:
            if not said.isdecimal():
                status, why = 400, "Content-Length is no number."
            elif int(said) <= limit:
                await self._app(scope, body.receive, send_noting)
                return
        except _TooLargeError:
            pass
        except TimeoutError:
            if not body.is_late:
                raise
            status, why = 408, f"This took too long to come: at most {self._max_seconds:g} s."
        if not has_begun:
            await _answer_while_more_comes(refused(request, status, why), scope, receive, send, limit)


async def _answer_while_more_comes(answer: Response, scope: Scope, receive: Receive, send: Send, most: int) -> None:
    """Send an answer whole, and drop what still comes, for a while, before the connection is closed.

    Closed at once, it would be reset: then browsers and programs show that, and never read why.
    """

    async def send_open(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["more_body"] = True
        await send(message)

    await answer(scope, receive, send_open)
    dropped = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_MORE_S):
            while dropped <= most:
                message = await receive()
                dropped += len(message.get("body", b""))
                if not message.get("more_body", False):
                    break
    await send({"type": "http.response.body", "body": b""})


class _LimitedBody:
    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive = receive
        self._limit = limit
        self._ends_at = asyncio.get_running_loop().time() + seconds
        self._received = 0
        self._is_whole = False
        self.is_late = False

    async def receive(self) -> Message:
        if self._is_whole:  # what comes now is that the reader went away: an answer may take as long as it likes
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._ends_at):
                message = await self._receive()
        except TimeoutError:
            self.is_late = True
            raise
        self._received += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._received > self._limit:
            raise _TooLargeError
        return message
