"""Thumbnails a second: made by one process and by two, and kept ones over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.measured import middle
from benchmarks.page import Section
from benchmarks.runs import copy_photos, enlarge_photos
from benchmarks.sidecars import MODEL
from common.settings import load_settings
from storage.chunk_claims import claim
from storage.database import Database
from storage.identity import database_identity
from storage.image_files import LabelledFile
from storage.manifest import add_images, mark_published
from storage.outcomes import store
from storage.records import ImageRef, Outcome
from storage.runs import open_run
from storage.schema_version import ensure_schema
from web.processes import Processes
from web.thumbnails.making import make_thumbnail
from web.thumbnails.service import NICENESS, SIZES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What a browser asks for at a time.
_AT_A_TIME = 6
_PROCESSES = (1, 2)
_TIMEOUT_S = 60.0


def measure(photos: Path, rounds: int, images: int = 240) -> Section:
    """Make small and large thumbnails of so many photos, and of as many of 12 megapixels; and ask for kept ones."""
    with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as name:
        folder = Path(name)
        archives = {
            "photos of 0.2 megapixels": copy_photos(photos, folder / "photos", images),
            "photos of 12 megapixels": enlarge_photos(photos, folder / "large", images),
        }
        made = {
            f"{what}, to {SIZES[size]} pixels": [
                asyncio.run(_per_second(_files(archive), size, count, rounds)) for count in _PROCESSES
            ]
            for what, archive in archives.items()
            for size in SIZES
        }
        kept = _kept_per_second(archives["photos of 0.2 megapixels"], folder, rounds)
    lines = ["| made per second | one process | two |", "|---|---|---|"]
    lines += [f"| {what} | {one:.0f} | {two:.0f} |" for what, (one, two) in made.items()]
    lines += ["", f"Kept ones, over HTTP on {_AT_A_TIME} connections: {kept:,.0f} per second."]
    return Section(lines, {"made": made, "kept": kept})


async def _per_second(files: Sequence[LabelledFile], size: str, count: int, rounds: int) -> float:
    processes = Processes(count, len(files), None, NICENESS)
    try:
        await _make(processes, files[:_AT_A_TIME], size)  # so that all have started
        return float(middle([len(files) / await _make(processes, files, size) for _ in range(rounds)]))
    finally:
        await asyncio.to_thread(processes.close)


async def _make(processes: Processes, files: Sequence[LabelledFile], size: str) -> float:
    """Return the seconds that it takes."""
    asked = asyncio.Semaphore(_AT_A_TIME)
    limits = (200_000_000, 100_000_000)

    async def one(file: LabelledFile) -> None:
        async with asked:
            made = await processes.run(_TIMEOUT_S, make_thumbnail, file, SIZES[size], *limits)
            assert isinstance(made, bytes), made

    begun = time.perf_counter()
    await asyncio.gather(*map(one, files))
    return time.perf_counter() - begun


def _files(archive: Path) -> list[LabelledFile]:
    return [_file(path, archive) for path in sorted(archive.rglob("*.jpg"))]


def _file(path: Path, archive: Path) -> LabelledFile:
    content = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    return LabelledFile(
        path=str(path), roots=(str(archive),), size=None, mtime_ns=None, content=content, has_labels=True
    )


def _kept_per_second(archive: Path, folder: Path, rounds: int) -> float:
    url = f"{folder}/night.db"
    ids = _plant(url, archive)
    addresses = [f"/thumbnails/{image_id}" for image_id in ids]
    with _served(url, folder) as host, ThreadPoolExecutor() as threads:

        def ask(part: Sequence[str]) -> None:
            with closing(http.client.HTTPConnection(host, timeout=_TIMEOUT_S)) as connection:
                for address in part:
                    connection.request("GET", address)
                    answer = connection.getresponse()
                    assert (answer.status, bool(answer.read())) == (200, True)

        def ask_all() -> float:
            begun = time.perf_counter()
            list(threads.map(ask, [addresses[first::_AT_A_TIME] for first in range(_AT_A_TIME)]))
            return len(addresses) / (time.perf_counter() - begun)

        ask_all()  # which makes them
        return float(middle(ask_all() for _ in range(rounds)))


def _plant(url: str, archive: Path) -> list[int]:
    with closing(Database(load_settings(database_url=url).database_url)) as database:
        ensure_schema(database)
        run, _ = open_run(database, MODEL, engine="openvino", roots=[str(archive)], filters={})
        files = {str(path): path.stat() for path in sorted(archive.rglob("*.jpg"))}
        refs = [ImageRef(path, status.st_size, status.st_mtime_ns) for path, status in files.items()]
        add_images(database, run, refs, chunk_size=64, relabel=False)
        identity, ids = database_identity(database), []
        for chunk in mark_published(database, run.id, len(files)):
            claimed = claim(database, identity, chunk.id, chunk.attempt, "planted")
            assert claimed
            contents = {image.image_id: _file(Path(image.path), archive).content for image in claimed.images}
            labels = (("tabby", 0.8),)
            outcomes = [Outcome(image_id=one, labels=labels, content=content) for one, content in contents.items()]
            store(database, claimed, outcomes, "planted", [])
            ids += contents
    return ids


@contextmanager
def _served(url: str, folder: Path) -> Iterator[str]:
    """Serve the page, and yield its host and port."""
    page = subprocess.Popen(
        [sys.executable, "-P", "-u", "-m", "nightlabel", "web", "--port", "0"],
        env=os.environ | {"NIGHTLABEL_DATABASE_URL": url, "NIGHTLABEL_CACHE_DIR": f"{folder}/cache"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert page.stdout
    try:
        yield urlsplit(page.stdout.readline().split()[-1]).netloc
    finally:
        page.terminate()
        page.wait()
