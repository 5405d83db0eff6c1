"""What the same bytes cost the second time: an archive in which files are copies, and one that was reorganised."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import runs
from benchmarks.page import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Of ten files, so many are copies of others.
_COPIES_OF_TEN = 3
#: Of the files, this share is moved.
_MOVED = 4
_WORKERS = "1"
#: A prime: which file a copy is of looks drawn, and is the same each time.
_STRIDE = 7919
#: By which the scores of an image may differ: those of a batch depend a little on what else is in it.
_SAME_SCORE = 1e-3


class _Night(NamedTuple):
    images: int
    seconds: float
    copied: int

    @property
    def ms(self) -> float:
        return self.seconds / self.images * 1000


def measure(photos: Path, weights_dir: Path, images: int) -> Section:
    """Label so many files, three of ten copies of others; move a quarter of them, and run again.

    Beside it, every file is computed: what an image costs then, and whether its labels are the same.
    """
    with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as name:
        folder = Path(name)
        archive = _make(photos, folder / "archive", images)
        variables = runs.environment(weights_dir)
        all_of_them = variables | {"NIGHTLABEL_DATABASE_URL": f"{folder}/computed.db"}
        runs.checked([sys.executable, "-P", "-m", "benchmarks.compute_all", str(archive), _WORKERS], all_of_them)
        computed = _night(all_of_them)
        known = variables | {"NIGHTLABEL_DATABASE_URL": f"{folder}/night.db"}
        command = [sys.executable, "-P", "-m", "nightlabel", "run", str(archive), "--workers", _WORKERS]
        runs.checked(command, known)
        first = _night(known)
        _move(archive, images // _MOVED)
        runs.checked(command, known)
        moved = _night(known)
        others = _with_other_labels(folder)
    nights = {
        "every file computed": computed,
        "the same files, three of ten copies": first,
        "a quarter of them moved": moved,
    }
    share = moved.ms / computed.ms
    return Section(_table(nights, share, others), {"share": share, "others": others, **nights})


def _table(nights: dict[str, _Night], share: float, others: int) -> list[str]:
    lines = ["| archive | images | images/s | took the labels of the same bytes |", "|---|---|---|---|"]
    lines += [
        f"| {what} | {night.images:,} | {1000 / night.ms:,.1f} | {night.copied / night.images:.0%} |"
        for what, night in nights.items()
    ]
    lines += ["", f"The second file of the same bytes took {share:.3f} times as long as an image that was computed."]
    return [*lines, f"Images with other labels than when each file is computed: {others}."]


def _make(photos: Path, folder: Path, images: int) -> Path:
    """Fill a folder; a copy has the bytes of some file before it, of its own chunk or of an earlier one."""
    sources = sorted(photos.glob("*.jpg"))
    folder.mkdir()
    for number in range(images):
        target = folder / f"{number:06}.jpg"
        if number % 10 >= 10 - _COPIES_OF_TEN:
            source = number * _STRIDE % (number // 10 + 1) * 10
            shutil.copyfile(folder / f"{source:06}.jpg", target)
        else:
            runs.copy_distinct(sources[number % len(sources)], target, number)
    return folder


def _move(archive: Path, count: int) -> None:
    """Move files into a folder of their own, under other names."""
    (archive / "moved").mkdir()
    for path in sorted(archive.glob("*.jpg"))[:count]:
        path.rename(archive / "moved" / f"IMG_{path.name}")


def _night(variables: dict[str, str]) -> _Night:
    report: dict[str, Any] = json.loads(
        runs.checked([sys.executable, "-P", "-m", "nightlabel", "report", "--json"], variables)
    )
    images = report["images"]
    return _Night(images["ok"], report["throughput"]["labelling_s"], images["copied"])


def _with_other_labels(folder: Path) -> int:
    """Count the images whose labels are not those that the same bytes have where each file was computed."""
    with closing(sqlite3.connect(folder / "night.db")) as connection:
        connection.execute("ATTACH ? AS computed", (f"{folder}/computed.db",))
        rows: Sequence[tuple[Any, ...]] = connection.execute(
            "SELECT a.label_1, a.label_2, a.label_3, b.label_1, b.label_2, b.label_3, abs(a.score_1 - b.score_1)"
            " FROM outcomes a LEFT JOIN (SELECT * FROM computed.outcomes GROUP BY content) b USING (content)"
        ).fetchall()
    return sum(row[:3] != row[3:6] or row[6] > _SAME_SCORE for row in rows)
