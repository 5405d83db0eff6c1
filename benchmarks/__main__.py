"""`make bench`: measure, and write docs/performance.md. `ARGS='peers growth'` measures only these."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import (
    agreement,
    beside_peers,
    browsing,
    copies,
    decoding,
    find,
    first_paint,
    gallery,
    growth,
    many_cores,
    morning,
    moves,
    page,
    producer,
    profile,
    runs,
    shapes,
    sidecars,
    single,
    soak,
    thumbnails,
)
from models.engines.openvino import cpu_has_bf16

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTIONS = (
    *("agreement", "peers", "large", "decoding", "settings", "single", "profile", "browsing", "first paint", "copies"),
    *("producer", "growth", "many", "morning", "find", "gallery", "move", "sidecars", "thumbnails"),
)
#: An hour each: only measured when named.
SOAKS = ("soak", "requests")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS + SOAKS))
    parser.add_argument("--photos", type=Path, default=page.ROOT.parent / "shared" / "images")
    parser.add_argument("--weights", type=Path, default=os.environ.get("NIGHTLABEL_WEIGHTS_DIR"))
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=1_000_000, help="of the producer's archive")
    parser.add_argument("--rows", type=int, default=10_000_000, help="how far the manifest grows")
    parser.add_argument("--minutes", type=float, default=60, help="of each soak")
    parser.add_argument("--database", help="where it grows: a Postgres URL; a SQLite file by itself")
    arguments = parser.parse_args()
    chosen = arguments.sections or SECTIONS
    for unknown in set(chosen) - {*SECTIONS, *SOAKS}:
        parser.error(f"there is no section {unknown!r}; there are {', '.join(SECTIONS + SOAKS)}")
    _measure_labelling(chosen, arguments)
    _measure_pictures(chosen, arguments)
    if "copies" in chosen:
        page.write("copies", copies.measure(arguments.photos, arguments.weights, 4 * arguments.images))
    _measure_tables(chosen, arguments)
    for name, measure in {"soak": soak.steady, "requests": soak.requests}.items():
        if name in chosen:
            page.write(name, measure(arguments.photos, arguments.weights, arguments.minutes))


def _measure_labelling(chosen: Sequence[str], arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as folder:
        archive = runs.copy_photos(arguments.photos, Path(folder) / "archive", arguments.images)
        common = archive, arguments.weights, arguments.rounds
        precisions = ("fp32", "bf16") if cpu_has_bf16() else ("fp32",)
        if "agreement" in chosen:
            page.write("agreement", agreement.measure(arguments.photos, arguments.weights, precisions))
        if "peers" in chosen:
            page.write(f"peers, {page.cpu_kind()}", beside_peers.measure(*common))
        if "large" in chosen:
            large = runs.enlarge_photos(arguments.photos, Path(folder) / "large", max(100, arguments.images // 4))
            page.write("large", shapes.measure_large(large, *common[1:]))
        if "settings" in chosen:
            page.write("settings", shapes.measure_settings(*common))
        if "single" in chosen:
            page.write("single", single.measure(*common, (*precisions, "int8", "cascade")))
        if "profile" in chosen:
            page.write("profile", profile.measure(archive, arguments.weights))
        if "browsing" in chosen:
            page.write("browsing", browsing.measure(*common))


def _measure_pictures(chosen: Sequence[str], arguments: argparse.Namespace) -> None:
    if "decoding" in chosen:
        page.write("decoding", decoding.measure(arguments.photos, arguments.rounds))
    if "thumbnails" in chosen:
        page.write("thumbnails", thumbnails.measure(arguments.photos, arguments.rounds))
    if "first paint" in chosen:
        page.write("first paint", first_paint.measure())


def _measure_tables(chosen: Sequence[str], arguments: argparse.Namespace) -> None:
    url = arguments.database
    where = "Postgres" if url else "SQLite"
    if "producer" in chosen:
        page.write(f"producer on {where}", producer.measure(arguments.weights, arguments.files, url))
    if "growth" in chosen:
        page.write(f"growth on {where}", growth.table(growth.run(arguments.rows, 2, url)))
    if "many" in chosen:
        page.write(f"many on {where}", many_cores.measure(min(arguments.rows, 1_000_000), url))
    if "morning" in chosen:
        page.write(f"morning on {where}", morning.measure(min(arguments.rows, 1_000_000), url))
    if "find" in chosen:
        page.write(f"find on {where}", find.measure(min(arguments.rows, 1_000_000), url))
    if "gallery" in chosen:
        page.write(f"gallery on {where}", gallery.measure(min(arguments.rows, 1_000_000), url))
    if "move" in chosen:
        page.write(f"move on {where}", moves.measure(min(arguments.rows, 1_000_000), url))
    if "sidecars" in chosen:
        page.write(f"sidecars on {where}", sidecars.measure(min(arguments.files, 10_000), url))


if __name__ == "__main__":
    main()
