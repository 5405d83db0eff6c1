"""An archive of a million images that was moved: `nightlabel move`."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from benchmarks.measured import run_command
from benchmarks.page import Section
from benchmarks.planted import planted_night

if TYPE_CHECKING:
    from collections.abc import Sequence

#: From where to where; the last one into itself, where each name is changed twice.
_MOVES = {
    "all, only counted": ("/volume1", "/volume2", "--dry-run"),
    "one folder in 20": ("/volume1/photos/2005", "/volume1/scans"),
    "all": ("/volume1", "/volume2"),
    "all, into a folder of the old one": ("/volume2", "/volume2/archive"),
}


def measure(rows: int, database_url: str | None) -> Section:
    """Plant a night of so many images, and move it about.

    Raises:
        SystemExit: the database is not empty.

    """
    with (
        tempfile.TemporaryDirectory(prefix="nightlabel-move-") as folder,
        planted_night(rows, database_url, folder) as (_, url),
    ):
        taken = {name: _move(url, given) for name, given in _MOVES.items()}
    lines = [f"{rows:,} images; the command as a whole.", "", "| what | s | peak MB |", "|---|---|---|"]
    lines += [f"| {name} | {seconds:.1f} | {peak_mb:.0f} |" for name, (seconds, peak_mb) in taken.items()]
    return Section(lines, {"rows": rows, "taken": taken})


def _move(url: str, given: Sequence[str]) -> tuple[float, float]:
    return run_command(url, ("move", *given))
