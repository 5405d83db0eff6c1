"""What child processes are given to do in tests: modules that they can import."""

from __future__ import annotations

import os
import signal
from time import sleep
from typing import TYPE_CHECKING

import numpy as np

from archive.failures import FailureKind, ImageError

if TYPE_CHECKING:
    from pathlib import Path


#: Of the process, when this was imported.
_NICENESS = os.nice(0)


def niceness_at_import() -> int:
    return _NICENESS


def pid() -> int:
    return os.getpid()


def abort() -> None:
    os.abort()


def end_without_a_word() -> None:
    """End as where the kernel lacks memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def fault() -> None:
    """Touch memory that is nobody's."""
    np.lib.stride_tricks.as_strided(np.zeros(1), (2,), (2**46,)).sum()


def hang() -> None:
    sleep(600)


def fill(megabytes: int) -> int:
    return len(bytearray(megabytes * 1_000_000))


def note(number: int, path: Path) -> None:
    """Say that one was begun, and take a moment."""
    with path.open("a") as file:
        file.write(f"{number}\n")
    sleep(0.2)


def fail() -> None:
    raise ImageError(FailureKind.TIMEOUT, "no answer", is_transient=True)
