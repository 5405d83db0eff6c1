"""A run beside people who look at the page: what they take from the night."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, nullcontext
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.measured import middle
from benchmarks.page import ROOT, Section
from benchmarks.runs import checked, environment
from host.process import give_way

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLIENTS = 4
#: Seconds that a person looks at what a page shows before the next one is opened.
_LOOKS_S = 1.5
#: Seconds in which the page has started and loaded its model: it was there before the run.
_STARTS_S = 8
_WORDS = ("dog", "bird", "Auto", "animal")


def measure(archive: Path, weights_dir: Path, rounds: int) -> Section:
    """Time runs over an archive by turns: alone, with the page served, and with people on it.

    Whoever looks does so on a computer of their own: here, the browsers' stand-ins give way to everything else.
    """
    speeds: dict[str, list[float]] = {"alone": [], "beside": []}
    pages = 0
    for _ in range(rounds):
        speeds["alone"].append(_run(archive, weights_dir, is_watched=False)[0])
        speed, seen = _run(archive, weights_dir, is_watched=True)
        speeds["beside"].append(speed)
        pages += seen
    alone, beside = (middle(speeds[name]) for name in ("alone", "beside"))
    share = middle(beside / alone for alone, beside in zip(speeds["alone"], speeds["beside"], strict=True))
    lines = [
        f"{CLIENTS} people open the gallery, its pictures, searches and further pages, each after {_LOOKS_S} s;",
        f"{rounds} runs of each, by turns.",
        "",
        "| run | images/s |",
        "|---|---|",
        f"| alone | {alone:.1f} |",
        f"| with {CLIENTS} people on the page | {beside:.1f} |",
        "",
        f"Beside them it is {share:.3f} times as fast, the median of the pairs; they saw {pages:,} pages and pictures.",
    ]
    return Section(lines, {"speeds": speeds, "share": share, "answers": pages})


def _run(archive: Path, weights_dir: Path, *, is_watched: bool) -> tuple[float, int]:
    """Return the images a second of a run, and how many answers people got beside it."""
    with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as folder:
        variables = environment(weights_dir) | {"NIGHTLABEL_DATABASE_URL": f"{folder}/night.db"}
        nightlabel = [sys.executable, "-P", "-m", "nightlabel"]
        with _people(variables, Path(folder)) if is_watched else nullcontext() as seen:
            checked([*nightlabel, "run", str(archive)], variables)
        figures = json.loads(checked([*nightlabel, "report", "--json"], variables))
        answers = int((Path(folder) / "seen").read_text()) if seen else 0
        return figures["images"]["ok"] / figures["throughput"]["labelling_s"], answers


@contextmanager
def _people(variables: Mapping[str, str], folder: Path) -> Iterator[bool]:
    """Serve the page, and have people look at it."""
    page = subprocess.Popen(
        [sys.executable, "-P", "-u", "-m", "nightlabel", "web", "--port", "0"],
        env={**variables, "NIGHTLABEL_CACHE_DIR": os.environ.get("NIGHTLABEL_CACHE_DIR", f"{folder}/cache")},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as a service is
    )
    assert page.stdout
    address = page.stdout.readline().split()[-1]
    people = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.browsing", address, str(folder / "seen")],
        cwd=ROOT,
        start_new_session=True,
    )
    time.sleep(_STARTS_S)
    try:
        yield True
    finally:
        for process in (people, page):
            process.send_signal(signal.SIGTERM)
            process.wait()


class _Person(threading.Thread):
    def __init__(self, address: str, number: int) -> None:
        super().__init__(daemon=True)
        self._host = urlsplit(address).netloc
        self._number = number
        self._kept: set[str] = set()  # as a browser keeps what may be kept
        self.answers = 0

    def run(self) -> None:
        while True:
            try:
                self._look_around()
            except OSError:  # the night has not begun
                time.sleep(1)

    def _look_around(self) -> None:
        first = self._open("/gallery")
        self._open(f"/gallery?q={_WORDS[self._number % len(_WORDS)]}")
        further = re.search(r'href="(/gallery\?[^"]*after=[^"]*)"', first)
        if further:
            self._open(unescape(further[1]))
        picture = re.search(r'href="(/images/\d+/[^"]*)"', first)
        if picture:
            self._open(unescape(picture[1]))

    def _open(self, path: str) -> str:
        page = self._get(path)
        for small in re.findall(r'src="(/thumbnails/[^"]+)"', page):
            if small not in self._kept:
                self._kept.add(small)
                self._get(unescape(small))
        time.sleep(_LOOKS_S)
        return page

    def _get(self, path: str) -> str:
        connection = http.client.HTTPConnection(self._host, timeout=60)
        try:
            connection.request("GET", path)
            body = connection.getresponse().read()
        finally:
            connection.close()
        self.answers += 1
        return body.decode(errors="replace")


def _browse(address: str, seen: Path) -> None:
    people = [_Person(address, number) for number in range(CLIENTS)]
    for person in people:
        person.start()
    signal.sigwait({signal.SIGTERM})
    seen.write_text(str(sum(person.answers for person in people)))


if __name__ == "__main__":
    give_way(19)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    _browse(sys.argv[1], Path(sys.argv[2]))
