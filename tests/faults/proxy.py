"""A way to Redis on which packets can get lost: nothing arrives any more, and nobody is told."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_SCHEME = "redis+socket://"


class Proxy:
    """Forwards the connections to a unix socket to another one, until they are cut."""

    def __init__(self, target_url: str, path: Path) -> None:
        self._target = target_url.removeprefix(_SCHEME)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._sockets: list[socket.socket] = []
        self._cut = threading.Event()
        self.url = f"{_SCHEME}{path}"

    def cut(self) -> None:
        """Drop from now on what is sent on the connections there are, and close none; new ones are forwarded."""
        self._cut.set()
        self._cut = threading.Event()

    def __enter__(self) -> Self:
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self._listener, *self._sockets):
            with suppress(OSError):  # it was never connected, or is not any more
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._sockets += [client, server]
                with suppress(OSError):  # Redis is away
                    server.connect(self._target)
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_forward, args=(source, sink, self._cut), daemon=True).start()


def _forward(source: socket.socket, sink: socket.socket, cut: threading.Event) -> None:
    with suppress(OSError):  # either side has gone
        while data := source.recv(1 << 16):
            if not cut.is_set():
                sink.sendall(data)
    if not cut.is_set():  # else the other side does not learn of the end either
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
