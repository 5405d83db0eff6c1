"""What the page answers over an archive of a million images, asked by HTTP as a browser asks it."""

from __future__ import annotations

import http.client
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Times that each is asked.
REQUESTS = 200
_LEAST_SCORES = tuple(f"0.{50 + step}" for step in range(20))


@contextmanager
def served(database_url: str) -> Iterator[http.client.HTTPConnection]:
    """Serve the page over a database, and yield a connection to it."""
    server = subprocess.Popen(
        [sys.executable, "-P", "-u", "-m", "nightlabel", "web", "--port", "0"],
        env=os.environ | {"NIGHTLABEL_DATABASE_URL": database_url},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout
    connection = http.client.HTTPConnection(urlsplit(server.stdout.readline().split()[-1]).netloc, timeout=60)
    try:
        yield connection
    finally:
        connection.close()
        server.send_signal(signal.SIGINT)
        server.wait()


def measure(database_url: str, images: int) -> tuple[list[str], dict[str, tuple[float, float]]]:
    """Return a table of how long each request takes, and its figures: the milliseconds of the median, and p95."""
    draw = random.Random(1)  # noqa: S311 - nobody is to be kept out
    ids = [draw.randint(1, images) for _ in range(REQUESTS)]
    with served(database_url) as connection:
        further = re.search(r'href="(/gallery\?[^"]*after=[^"]*)"', get(connection, "/gallery"))
        asked: dict[str, Callable[[int], str]] = {
            "the gallery's first page": lambda _: "/gallery",
            "a search: dog, with another least score each": lambda number: (
                f"/gallery?q=dog&min={_LEAST_SCORES[number % 20]}"
            ),
            "a search: lion": lambda number: f"/gallery?q=lion&min={_LEAST_SCORES[number % 20]}",
            "the second page": lambda _: unescape(further[1]) if further else "/gallery",
            "counts beside the filters": lambda _: "/gallery/counts",
            "counts beside the filters, of lions": lambda number: (
                f"/gallery/counts?q=lion&min={_LEAST_SCORES[number % 20]}"
            ),
            "counts beside the filters, of dogs": lambda number: (
                f"/gallery/counts?q=dog&min={_LEAST_SCORES[number % 20]}"
            ),
            "a picture's page": lambda number: f"/images/{ids[number]}/",
            "names as one types": lambda number: f"/gallery/suggestions?q={('d', 'do', 'dog')[number % 3]}",
        }
        times = {name: _times(connection, address) for name, address in asked.items()}
    lines = [f"The page itself, asked by HTTP, {REQUESTS} times each, in milliseconds:", ""]
    lines += ["| what | p50 | p95 |", "|---|---|---|"]
    lines += [f"| {name} | {middle:,.1f} | {slow:,.1f} |" for name, (middle, slow) in times.items()]
    return lines, times


def _times(connection: http.client.HTTPConnection, address: Callable[[int], str]) -> tuple[float, float]:
    get(connection, address(0))
    taken = []
    for number in range(REQUESTS):
        begun = time.perf_counter()
        get(connection, address(number))
        taken.append((time.perf_counter() - begun) * 1000)
    taken.sort()
    return taken[len(taken) // 2], taken[int(len(taken) * 0.95)]


def get(connection: http.client.HTTPConnection, path: str) -> str:
    """Return the answer to a request.

    Raises:
        SystemExit: it is no good one.

    """
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode(errors="replace")
    if answer.status != http.HTTPStatus.OK:
        sys.exit(f"{path}: {answer.status} {body[:500]}")
    return body
