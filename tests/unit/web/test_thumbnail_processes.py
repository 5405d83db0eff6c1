"""What the server does when the processes that make thumbnails end, or have too much to do."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from time import monotonic, sleep
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest
from PIL import Image

from tests.dead_share import dead_share
from tests.unit.pictures.pictures import encoded
from tests.unit.web.archives import image_ids, label_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.unit.web.serving import Served

WHY = "Nightlabel-No-Thumbnail"
#: Bytes that a process takes while it decodes the large picture, and not for a small one.
MUCH = 150_000_000
PATIENCE_S = 120.0
#: More than two processes have and 48 may wait for.
CROWD = 80


class Page:
    """A served page that keeps no thumbnails, and the ids of its pictures."""

    def __init__(self, served: Served, url: str, share: Path) -> None:
        self.served = served
        self.share = share  #: with six pictures
        self.ids = {path.rsplit("/", 1)[1]: number for path, number in image_ids(url).items()}

    def address(self, name: str) -> str:
        return f"/thumbnails/{self.ids[name]}"

    def is_shown(self, name: str) -> bool:
        return self.served.get(self.address(name)).headers["Content-Type"] == "image/jpeg"

    def children(self) -> list[psutil.Process]:
        """Return the processes that make thumbnails."""
        mine = psutil.Process().children()
        return [child for child in mine if "spawn_main" in " ".join(child.cmdline())]

    def send(self, name: str) -> socket.socket:
        """Ask without waiting for the answer."""
        parts = urlsplit(self.served.url)
        asking = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S)
        asking.sendall(f"GET {self.address(name)} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        return asking


@pytest.fixture(scope="module")
def page(serve: Callable[..., Served], tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("page")
    (root := folder / "archive").mkdir()
    (root / "small.png").write_bytes(encoded(Image.new("RGB", (640, 480), (0, 120, 0)), "PNG"))
    large = encoded(Image.new("RGB", (9000, 9000), (0, 120, 0)), "TIFF", compression="tiff_adobe_deflate")
    (root / "large.tif").write_bytes(large)
    (share := folder / "share").mkdir()
    for number in range(6):
        shutil.copy(root / "small.png", share / f"{number}.png")
    url = str(folder / "night.db")
    for archive in (root, share):
        label_files(url, archive, archive.iterdir())
    return Page(serve(database_url=url, web_cache_mb=0), url, share)


def until(condition: Callable[[], bool]) -> None:
    ends_at = monotonic() + PATIENCE_S
    while not condition():
        assert monotonic() < ends_at
        sleep(0.01)


@pytest.fixture
def stopped(page: Page) -> Iterator[Page]:
    """A page whose processes do not get on, as on a machine that has too much to do."""
    page.is_shown("small.png")
    children = page.children()
    for child in children:
        child.suspend()
    yield page
    for child in children:
        child.resume()


def test_a_process_that_is_killed_at_its_work_costs_that_thumbnail_alone(page: Page) -> None:
    with ThreadPoolExecutor() as threads:
        lost = threads.submit(page.served.get, page.address("large.tif"))
        until(lambda: any(child.memory_info().rss > MUCH for child in page.children()))
        others = [threads.submit(page.is_shown, "small.png") for _ in range(4)]
        (busy,) = (child for child in page.children() if child.memory_info().rss > MUCH)
        os.kill(busy.pid, signal.SIGKILL)
        assert lost.result().headers[WHY] == "lost"
        assert all(other.result() for other in others)
    assert page.is_shown("large.tif")


def test_more_than_may_wait_are_told_to_come_again(stopped: Page) -> None:
    """And those that went away, as where somebody scrolls on, keep nobody waiting."""
    with ExitStack() as connections:
        crowd = [connections.enter_context(closing(stopped.send("large.tif"))) for _ in range(CROWD)]
        refused = crowd[-1].recv(65536)
        assert b" 503 " in refused.split(b"\r\n")[0]
        assert b"retry-after: 1\r\n" in refused.lower()
    until(lambda: stopped.served.state.thumbnails._processes._waiting == 0)


def test_a_share_that_is_dead_keeps_other_pictures_waiting_once(page: Page) -> None:
    """Not once for each of its own, though none of them is answered."""
    with dead_share(page.share), ThreadPoolExecutor() as threads:
        dead = [threads.submit(page.served.get, page.address(f"{number}.png")) for number in range(6)]
        sleep(0.1)
        begun = monotonic()
        assert page.is_shown("small.png")
        assert monotonic() - begun < 25  # the first one takes ten seconds, and each further one would take six
        assert {answer.result().headers[WHY] for answer in dead} == {"archive_gone"}
