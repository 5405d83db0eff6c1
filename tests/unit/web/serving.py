"""The page on a port of its own, as a browser meets it: by real connections, which can be cut."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Self

import httpx2
import uvicorn

from web.app import make_app
from web.server import PageServer, _listen
from web.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common.settings import Settings

#: Seconds in which a server starts or ends, on a busy machine; and in which it answers, though it starts processes.
_PATIENCE_S, _ANSWER_S = 30.0, 120.0


class Served:
    """A page that is served, and a client that follows no redirects."""

    def __init__(self, url: str, state: State) -> None:
        self.url = url  #: `http://127.0.0.1:PORT`
        self.state = state
        self.client = httpx2.Client(base_url=url, timeout=_ANSWER_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str, **given: Any) -> httpx2.Response:
        return self.client.get(path, **given)

    def post(self, path: str, **given: Any) -> httpx2.Response:
        return self.client.post(path, **given)


@contextmanager
def serve_page(settings: Settings) -> Iterator[Served]:
    """Serve the page on a free port of this machine, in a thread, until the block ends."""
    state = State(settings)
    # Warnings alone: each request would be a line.
    server = PageServer(uvicorn.Config(make_app(state), log_level="warning", timeout_graceful_shutdown=1), state)
    with closing(_listen("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), name="page")
        thread.start()
        try:
            _wait_until_started(server, thread)
            with Served(f"http://127.0.0.1:{listening.getsockname()[1]}", state) as served:
                yield served
        finally:
            server.should_exit = True
            thread.join(_PATIENCE_S)
    assert not thread.is_alive()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    ends_at = monotonic() + _PATIENCE_S
    while not server.started:
        assert thread.is_alive()
        assert monotonic() < ends_at
        sleep(0.01)
