"""`/healthz` and `/readyz`: whether the page works, for programs that have no token. They tell nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_AS_OF_NOW = {"Cache-Control": "no-store"}


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("The page answers.\n", headers=_AS_OF_NOW)


async def _readyz(request: Request) -> Response:
    try:
        is_ready = await request.app.state.nightlabel.readiness.value()
    except TimeoutError:
        return PlainTextResponse("The database does not answer.\n", 503, _AS_OF_NOW)
    if not is_ready:
        return PlainTextResponse("The database cannot be used; the page's log says why.\n", 503, _AS_OF_NOW)
    return PlainTextResponse("The database answers.\n", headers=_AS_OF_NOW)


ROUTES = [Route("/healthz", _healthz), Route("/readyz", _readyz)]
