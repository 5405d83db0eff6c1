"""`/metrics`: for Prometheus (`docs/metrics.md`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric
    from starlette.requests import Request


class _Found(Collector):
    """Hands over metrics that were found before: a registry waits for nobody."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


async def _metrics(request: Request) -> Response:
    """Answer in the format that is asked for, with the metrics of some seconds ago at most."""
    try:
        families = await request.app.state.nightlabel.metrics.value()
    except TimeoutError:
        return PlainTextResponse("The metrics were not there in time.\n", 503)
    registry = CollectorRegistry()
    registry.register(_Found(families))
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"Content-Type": media_type, "Cache-Control": "no-store"})


ROUTES = [Route("/metrics", _metrics)]
