"""The report of a mixed night, held as a whole against what plain Python makes of the raw rows.

Its figures come by several ways: numbers page by page, and sums of the database's, from an index where a run is its
model's only one, from the rows where it is not, and by looking rows up where they are few. None may change a figure.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

import storage.outcome_figures
from report.run.figures import run_figures
from report.run.json_report import as_json
from storage.corrections import find_picture, is_label, right, say
from storage.outcome_figures import STAGES
from storage.tables import chunks, images, outcomes
from tests.unit.report.long_night import CHUNK_IMAGES, Faults, plant_long
from tests.unit.storage.nights import MODEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from storage.database import Database
    from storage.records import JsonObject, Run

Rows = list[dict[str, Any]]
KINDS = {"tabby": "cat", "golden retriever": "dog", "seashore": "landscape"}
#: Each way by which figures come: how many outcomes make no small run, and whether another run has the same model.
WAYS = {"index": (0, False), "rows": (0, True), "few": (10**6, False), "few of many": (10**6, True)}


def plant_mixed(database: Database, *, shares_model: bool) -> Run:
    """Plant a run with failures, warnings, copies, stages that were not measured, and two more; correct some of it."""
    faults = Faults(failing_folder=True, replaced_child=True, extra_starts=1, copies=40)
    run = plant_long(database, hours=0.25, faults=faults)
    other = MODEL if shares_model else replace(MODEL, precision="int8")
    plant_long(database, hours=0.1, faults=Faults(copies=7), model=other, root="/another")
    third = plant_long(database, hours=0.1, model=replace(MODEL, architecture="mobilenet_v2"), root="/third")
    own = outcomes.c.run_id == run.id
    with database.write() as connection:
        for label, kind in KINDS.items():  # of the other labels it has no kind
            connection.execute(update(outcomes).where(outcomes.c.label_1 == label).values(kind=kind, kind_score=0.5))
        connection.execute(update(outcomes).where(own, outcomes.c.image_id % 9 == 0).values(warning="cut short"))
        failed = outcomes.c.error_kind.is_not(None)
        connection.execute(update(outcomes).where(own, failed, outcomes.c.image_id % 2 == 0).values(decode_ms=None))
        connection.execute(update(outcomes).where(own, failed, outcomes.c.image_id % 3 == 0).values(infer_ms=None))
        connection.execute(update(outcomes).where(own, outcomes.c.image_id % 50 == 1).values(score_1=1.0))
        if shares_model:  # it has labelled some of the images again
            again = outcomes.c.image_id.in_(range(1, 10 * CHUNK_IMAGES, 4))
            connection.execute(update(outcomes).where(own, again).values(run_id=third.id - 1))
        paths = (
            connection.execute(
                select(images.c.path).join(outcomes, outcomes.c.image_id == images.c.id).where(own, ~failed).limit(3)
            )
            .scalars()
            .all()
        )
    pictures = [find_picture(database, path) for path in paths]
    say(database, [(pictures[0], right(pictures[0])), (pictures[1], is_label(pictures[1], "pizza"))])
    return run


@pytest.mark.parametrize("way", WAYS)
def test_every_figure_is_that_of_the_rows(database: Database, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small, shares_model = WAYS[way]
    monkeypatch.setattr(storage.outcome_figures, "_SMALL_ROWS", small)
    monkeypatch.setattr(storage.outcome_figures, "_PAGE_ROWS", 501)
    run = plant_mixed(database, shares_model=shares_model)
    found = as_json(run_figures(database, run))
    rows, done = rows_of(database, run)

    expected = outcomes_of(rows)
    assert {key: found["outcomes"][key] for key in expected} == expected
    stages = stages_of(rows)
    assert found["stages_ms"] == stages
    assert found["stages_over_time"]
    for part, own in zip(found["stages_over_time"], by_part(rows, done, len(found["stages_over_time"])), strict=True):
        assert part["stages_ms"] == stages_of(own)
    assert found["images"]["doubtful"] == sum(row["warning"] is not None for row in rows)
    assert found["images"]["taken_over"] == sum(one["images"] for one in done) - len(rows)
    kinds = Counter(row["error_kind"] for row in rows if row["error_kind"])
    assert {one["kind"]: one["images"] for one in found["failures"]} == kinds
    if not shares_model:
        spent = {stage: sum(row[f"{stage}_ms"] or 0 for row in rows) / 1000 for stage in ("decode", "infer")}
        shares = found["throughput"]["shares_of_time"]
        assert shares["decode"] / shares["infer"] == pytest.approx(spent["decode"] / spent["infer"])


def rows_of(database: Database, run: Run) -> tuple[Rows, Rows]:
    """Return the run's outcomes and its chunks, as they are in the tables."""
    with database.read() as connection:
        of_run = (
            connection.execute(select(table).where(table.c.run_id == run.id)).mappings() for table in (outcomes, chunks)
        )
        rows, done = ([dict(row) for row in found] for found in of_run)
    return rows, done


def outcomes_of(rows: Rows) -> JsonObject:
    labelled = [row for row in rows if row["label_1"] is not None]
    scores: dict[str, list[float]] = defaultdict(list)
    for row in labelled:
        scores[row["label_1"]].append(row["score_1"])
    kinds = Counter(row["kind"] for row in rows if row["kind"])
    bins = Counter(min(int(row["score_1"] * 20), 19) for row in labelled)
    files: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        files[row["content"]].append(row["size"])
    same = {content: sizes for content, sizes in files.items() if len(sizes) > 1}
    return {
        "labels": len(scores),
        "top_labels": tuple(
            {"label": label, "images": len(own), "mean_score": pytest.approx(math.fsum(own) / len(own), rel=1e-12)}
            for label, own in sorted(scores.items(), key=lambda one: (-len(one[1]), one[0]))
        ),
        "kinds": len(kinds),
        "top_kinds": tuple(
            {"kind": kind, "images": count} for kind, count in sorted(kinds.items(), key=lambda one: (-one[1], one[0]))
        ),
        "confidence": tuple(bins[place] for place in range(20)),
        "low_confidence_share": sum(row["score_1"] < 0.5 for row in labelled) / len(labelled),
        "duplicates": {
            "groups": len(same),
            "extra_files": sum(len(sizes) - 1 for sizes in same.values()),
            "extra_bytes": sum(sum(sizes[1:]) for sizes in same.values()),
            "largest": tuple(sorted(((content, len(own)) for content, own in same.items()), key=lambda one: -one[1])),
        },
    }


def stages_of(rows: Iterable[dict[str, Any]]) -> JsonObject:
    values = {stage: [row[f"{stage}_ms"] for row in rows if row[f"{stage}_ms"] is not None] for stage in STAGES}
    return {stage: percentiles(ms) for stage, ms in values.items() if ms}


def percentiles(ms: Sequence[float]) -> JsonObject:
    """Return the middles, on a scale of hundredths, of the bins in which the nearest ranks lie."""
    ordered = sorted(ms)
    found: JsonObject = {"max": ordered[-1]}
    for percent in (50, 95, 99):
        value = ordered[-(-len(ordered) * percent // 100) - 1]
        place = int(math.log(value / 1e-3) / math.log(1.01))
        found[f"p{percent}"] = pytest.approx(min(1e-3 * 1.01 ** (place + 0.5), ordered[-1]), rel=1e-12)
    return found


def by_part(rows: Rows, done: Rows, count: int) -> list[Rows]:
    """Part the rows by when their chunk was done, from the first one's start to the last one's end."""
    end_of = {chunk["id"]: chunk["done_at"].timestamp() for chunk in done}
    begin, end = min(chunk["started_at"].timestamp() for chunk in done), max(end_of.values())
    edges = [begin + (end - begin) * place / count for place in range(count + 1)]
    parts: list[Rows] = [[] for _ in range(count)]
    for row in rows:
        at = end_of[row["chunk_id"]]
        parts[next(place for place in range(count) if at <= edges[place + 1] + 1e-6)].append(row)
    return parts
