"""What sidecars take: the first time, when nothing has changed, in another language, and to remove them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measured import run_command
from benchmarks.page import Section
from common.settings import load_settings
from storage.chunk_claims import claim
from storage.database import Database
from storage.identity import database_identity
from storage.manifest import add_images, mark_published
from storage.outcomes import store
from storage.records import ImageRef, Model, Outcome, Preprocessing
from storage.runs import open_run
from storage.schema_version import ensure_schema
from vocabulary.kinds import classes, with_parents

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Of outcomes that are planted.
MODEL = Model(
    architecture="resnet18",
    recipe="IMAGENET1K_V1",
    weights="random",
    precision="fp32",
    preprocessing=Preprocessing(
        resize_size=256, crop_size=224, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)
    ),
)


def measure(pictures: int, database_url: str | None) -> Section:
    """Plant pictures of all classes by turns, 500 in a folder, and write their sidecars by the command."""
    with tempfile.TemporaryDirectory(prefix="nightlabel-bench-") as name:
        url = load_settings(database_url=database_url or f"{name}/night.db").database_url
        _plant(url, Path(name) / "archive", pictures)
        start_s = _seconds(url, "--into", f"{name}/none", "--remove", "--dry-run")
        timed = {
            "first written": _seconds(url),
            "again, nothing has changed": _seconds(url),
            "in another language": _seconds(url, "--language", "de"),
            "removed": _seconds(url, "--remove"),
        }
    lines = ["| sidecars | seconds | per second |", "|---|---|---|"]
    lines += [f"| {pictures:,} {what} | {seconds:.1f} | {pictures / seconds:,.0f} |" for what, seconds in timed.items()]
    lines.append(f"| start-up and a look at all of them where there is none, included above | {start_s:.1f} | |")
    return Section(lines, {"pictures": pictures, "start_s": start_s, **timed})


def _plant(url: str, archive: Path, pictures: int) -> None:
    database = Database(url)
    ensure_schema(database)
    run, _ = open_run(database, MODEL, engine="openvino", roots=[str(archive)], filters={})
    refs = []
    for number in range(pictures):
        path = archive / f"{number // 500:05}" / f"IMG_{number:08}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        refs.append(ImageRef(str(path), 0, 1))
    add_images(database, run, refs, chunk_size=64, relabel=False)
    identity = database_identity(database)
    for chunk in mark_published(database, run.id, pictures):
        claimed = claim(database, identity, chunk.id, chunk.attempt, "planted")
        if claimed:
            store(database, claimed, [_outcome(image.image_id) for image in claimed.images], "planted", [])
    database.close()


def _outcome(image_id: int) -> Outcome:
    one = classes()[image_id % len(classes())]
    things: Sequence[tuple[str, float]] = [(thing, 0.9) for thing in with_parents(one.kind)]
    return Outcome(image_id=image_id, labels=((one.label, 0.8),), kind=one.kind, kind_score=0.9, things=tuple(things))


def _seconds(url: str, *options: str) -> float:
    return run_command(url, ("sidecars", *options))[0]
