"""What a request says: the id in its address, what the browser has already, and whether it still waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from starlette.requests import Request

T = TypeVar("T")


class _IdConvertor(Convertor[int]):
    """`{image_id:row}` in a route: a row's id, of as many digits as a column holds; Python refuses to read 5,000."""

    regex = "[0-9]{1,19}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("row", _IdConvertor())


def has_already(request: Request, etag: str) -> bool:
    """Tell whether the browser has what this ETag stands for. Source: RFC 9110, 13.1.2."""
    given = request.headers.get("if-none-match", "")
    return etag in (tag.strip().removeprefix("W/") for tag in given.split(","))


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what the work does, or cancel it as soon as the browser goes away.

    Raises:
        ClientDisconnect: it went away.

    """
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_leaves(request))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        leaving.cancel()


async def _leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
