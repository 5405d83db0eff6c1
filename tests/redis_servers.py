"""Redis servers as people run them: on TCP, with users, behind TLS, watched by sentinels; and what is none."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import redis as redis_client

from broker.private_redis import redis_server_path
from common.child_process import die_with_parent
from tests.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A cluster's node listens 10,000 further, too.
_HIGHEST_OF_A_CLUSTER = 65_535 - 10_000


def free_port() -> int:
    """Return a free port; beside it, a cluster's node opens another one, 10,000 further."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port <= _HIGHEST_OF_A_CLUSTER:
            return port


@contextmanager
def server(folder: Path, *options: object, program: str = "redis-server") -> Iterator[int]:
    """Run a Redis, or with `program="redis-sentinel"` a sentinel, on a port of 127.0.0.1; yield the port."""
    port = free_port()
    folder = folder / f"{program}-{port}"
    folder.mkdir()
    settings = folder / "redis.conf"  # sentinels and clusters write to it
    lines = [f"port {port}", "bind 127.0.0.1 ::1", f"dir {folder}", *(["save ''"] if "sentinel" not in program else [])]
    settings.write_text("\n".join([*lines, *map(str, options)]) + "\n")
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [redis_server_path(), settings, *(["--sentinel"] if "sentinel" in program else [])],
            stdout=log,
            stderr=log,
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - one system call
        )
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None or None)
        assert process.poll() is None, (folder / "log").read_text()
        yield port
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def client(port: int, **options: Any) -> Iterator[Any]:
    with redis_client.Redis(port=port, **options) as connected:
        yield connected


class Answering:
    """Something on a port of 127.0.0.1 that hands each connection to a function."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with suppress(OSError, ssl.SSLError), connection:
            self._answer(connection)

    def close(self) -> None:
        self._socket.close()


@contextmanager
def answering(answer: Any) -> Iterator[int]:
    listener = Answering(answer)
    try:
        yield listener.port
    finally:
        listener.close()


def says(words: bytes) -> Any:
    """Be a server that is no Redis: it says these words, whatever it hears."""

    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(words)
        time.sleep(0.1)

    return answer


class Authority:
    """A CA of one's own, which signs what it is asked to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.certificate = folder / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=own CA",
                      "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip

    def sign(self, name: str) -> tuple[Path, Path]:
        """Return a certificate for 127.0.0.1, and its key."""
        (self._folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                      "-out", f"{name}.csr")  # fmt: skip
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-days", "2", "-extfile", "names", "-out", f"{name}.pem")  # fmt: skip
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)


@contextmanager
def behind_tls(port: int, authority: Authority, *, asks: bool = False) -> Iterator[int]:
    """Put TLS in front of a server; with `asks`, for clients whose certificate the CA has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("server"))
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.certificate)

    def relay(connection: socket.socket) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as near,
            socket.create_connection(("127.0.0.1", port)) as far,
        ):
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            far.shutdown(socket.SHUT_RDWR)
            back.join()

    with answering(relay) as tls_port:
        yield tls_port


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
