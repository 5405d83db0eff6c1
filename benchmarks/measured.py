"""A command of nightlabel's with the time and the memory that it takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: Runs a command, and prints the seconds and KiB that it took. A child begins with its parent's peak: here a small one.
_MEASURED = """
import resource, subprocess, sys, time
begun = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def middle(values: Iterable[Any]) -> Any:
    """Return the median, of an odd number of values."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def middle_ms(ask: Callable[[], object], rounds: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the milliseconds that something takes by a clock, the median of an odd number of rounds."""

    def taken() -> float:
        begun = clock()
        ask()
        return (clock() - begun) * 1000

    return float(middle(taken() for _ in range(rounds)))


def run_command(url: str, arguments: Sequence[str]) -> tuple[float, float]:
    """Return the seconds and the megabytes that a command takes."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", _MEASURED, sys.executable, "-P", "-m", "nightlabel", *arguments],
        env=os.environ | {"NIGHTLABEL_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, peak_kib = map(float, done.stdout.split())
    return seconds, peak_kib * 1024 / 1e6
