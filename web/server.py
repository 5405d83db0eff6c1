"""Serve the page until somebody ends it."""

from __future__ import annotations

import secrets
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn

from common.errors import UsageError
from host.process import give_way
from web.app import make_app
from web.processes import not_importing_the_program
from web.security.hosts import is_loopback
from web.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from common.settings import Settings

#: Characters of a token that a person chose: what cannot be guessed.
_LEAST_TOKEN = 16
#: The page gives way to the workers: the night is not to wait for those who look at it.
_NICENESS = 10
#: Connections at a time; each open tab of the night keeps one.
_MOST_CONNECTIONS = 200
#: Seconds that answers may take once the server is to end: a live view never ends by itself.
_LAST_ANSWERS_S = 3


def serve(settings: Settings, is_ready: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C, SIGTERM or SIGHUP.

    Args:
        settings: what can be set.
        is_ready: told the address at which the page is to be opened, with the token if there is one.

    Raises:
        UsageError: it cannot be served at this address, or the token is too short.

    """
    if settings.web_token is None and not is_loopback(settings.web_host):
        settings = settings.model_copy(update={"web_token": secrets.token_urlsafe(24)})
    if settings.web_token is not None and len(settings.web_token) < _LEAST_TOKEN:
        raise UsageError(
            f"NIGHTLABEL_WEB_TOKEN has {len(settings.web_token)} characters; {_LEAST_TOKEN} are the least."
        )
    state = State(settings)
    app = make_app(state, warms_up=True)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # addresses name what people look for
        server_header=False,
        proxy_headers=False,  # who sent a request is decided by nothing that the request says
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
    )
    with _listen(settings.web_host, settings.web_port) as listening, not_importing_the_program():
        give_way(_NICENESS)
        is_ready(_address(settings, listening))
        server = PageServer(config, state)
        with suppress(KeyboardInterrupt), _ends_with_its_terminal(server):
            server.run([listening])  # once it has ended in good order, it raises what ended it once more


class PageServer(uvicorn.Server):
    """A server that waits for nobody who only watches."""

    def __init__(self, config: uvicorn.Config, state: State) -> None:
        super().__init__(config)
        self._state = state

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what never ends by itself, for which the server would wait, and then complain."""
        self._state.watching.close()
        await super().shutdown(sockets)


@contextmanager
def _ends_with_its_terminal(server: uvicorn.Server) -> Iterator[None]:
    """Have SIGHUP end the server in good order too, as uvicorn does with SIGINT and SIGTERM; not so under nohup(1)."""
    before = signal.getsignal(signal.SIGHUP)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGHUP, lambda *_: setattr(server, "should_exit", True))
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(address[:2], family=family)
    except OSError as error:
        raise UsageError(
            f"The page cannot be served at {host}, port {port}: {error.strerror}. Choose another --host or --port."
        ) from None
    # An answer's head and body are sent one by one: else the body waits, for 40 ms, until the head is acknowledged. Its
    # connections inherit it; asyncio sets it only on sockets that were made for TCP by name.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _address(settings: Settings, listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - on all of the machine's addresses, of which its name is one
        host = socket.gethostname()
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={settings.web_token}" if settings.web_token else "")
