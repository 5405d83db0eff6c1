"""The figures of a long night, held against what numpy and plain Python make of the raw rows."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from importlib import resources
from typing import TYPE_CHECKING

import jsonschema
import numpy as np
import pytest

from report.run.figures import run_figures
from report.run.json_report import as_json
from report.run.side_by_side import side_by_side
from tests.unit.report.long_night import Faults, plant_long
from tests.unit.report.planted import raw, seconds

if TYPE_CHECKING:
    from report.run.figures import RunFigures
    from storage.database import Database


@pytest.fixture
def figures(database: Database) -> RunFigures:
    return run_figures(database, plant_long(database, faults=Faults(copies=3, failing_folder=True)))


def test_the_labels_are_counted(database: Database, figures: RunFigures) -> None:
    rows = raw(database, "select label_1, score_1 from outcomes where label_1 is not null")
    scores: dict[str, list[float]] = defaultdict(list)
    for label, score in rows:
        scores[label].append(score)
    assert {one.label: one.images for one in figures.outcomes.top_labels} == Counter(label for label, _ in rows)
    for one in figures.outcomes.top_labels:
        assert one.mean_score == pytest.approx(np.mean(scores[one.label]))
    histogram, _ = np.histogram([score for _, score in rows], bins=20, range=(0, 1))
    assert figures.outcomes.confidence == tuple(histogram)
    assert figures.outcomes.low_confidence_share == pytest.approx(np.mean([score < 0.5 for _, score in rows]))


def test_copies_are_counted_by_their_bytes(database: Database, figures: RunFigures) -> None:
    contents = Counter(content for (content,) in raw(database, "select content from outcomes"))
    extra = sum(count - 1 for count in contents.values())
    found = figures.outcomes.duplicates
    assert (found.groups, found.extra_files, found.extra_bytes) == (1, extra, extra * 1000) == (1, 3, 3000)
    assert found.largest == (("0" * 32, 4),)


def test_the_shares_of_time_are_those_of_the_rows(database: Database, figures: RunFigures) -> None:
    (decode_ms, infer_ms) = raw(database, "select sum(decode_ms), sum(infer_ms) from outcomes")[0]
    times = raw(database, "select worker, started_at, done_at from chunks")
    wall = 0.0
    for name in {name for name, _, _ in times}:
        own = [(seconds(start), seconds(end)) for worker, start, end in times if worker == name]
        wall += max(end for _, end in own) - min(start for start, _ in own)
    shares = figures.shares
    assert shares
    assert shares.decode == pytest.approx(decode_ms / 1000 / wall, rel=0.02)
    assert shares.infer == pytest.approx(infer_ms / 1000 / wall, rel=0.02)
    assert shares.store is not None
    assert shares.store == pytest.approx(0.01, rel=0.05)
    assert shares.decode + shares.infer + shares.store + shares.other + shares.wait == pytest.approx(1)


def test_percentiles_over_time_are_those_of_the_rows(database: Database, figures: RunFigures) -> None:
    rows = raw(database, "select c.done_at, o.decode_ms from outcomes o join chunks c on c.id = o.chunk_id")
    times = np.array([seconds(done) for done, _ in rows])
    decode = np.array([ms for _, ms in rows])
    assert len(figures.parts) > 3
    for part in figures.parts[1:-1]:  # at the ends, rounding to seconds moves a chunk
        own = decode[(times > seconds(part.begin)) & (times <= seconds(part.end))]
        assert part.stages["decode"].p50 == pytest.approx(np.percentile(own, 50), rel=0.03)
        assert part.stages["decode"].max == pytest.approx(own.max(), rel=0.2)


def test_a_minutes_images_and_their_variation_are_those_of_the_rows(database: Database, figures: RunFigures) -> None:
    minutes = Counter(str(done)[:16] for (done,) in raw(database, "select done_at from chunks"))
    whole = [count * 10 for _, count in sorted(minutes.items())[:30]]  # the last ones end beyond it
    assert figures.stability.variation == pytest.approx(np.std(whole, ddof=1) / np.mean(whole))
    assert figures.stability.drift == pytest.approx(0, abs=0.02)


def test_the_processes_use_of_the_cpu_is_that_of_the_samples(figures: RunFigures) -> None:
    used = {process.name: process.cpu_share for process in figures.stability.processes}
    assert used == {"host-7": pytest.approx(0.02), "host-7/1": pytest.approx(0.95), "host-7/2": pytest.approx(0.95)}


def test_a_curve_is_short_enough_to_be_drawn(figures: RunFigures) -> None:
    assert {len(process.curve) for process in figures.stability.processes} == {240}


def test_the_json_keeps_to_its_schema(database: Database, figures: RunFigures) -> None:
    schema = json.loads(resources.files("report.run").joinpath("report.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    validator.check_schema(schema)
    several = side_by_side(database, [figures, figures])
    for document in (as_json(figures), several.as_json()):
        assert list(validator.iter_errors(json.loads(json.dumps(document)))) == []


def test_the_efficiency_is_known_where_one_process_was_alone(database: Database) -> None:
    run = plant_long(database)
    with database.write() as connection:
        connection.exec_driver_sql("update chunks set worker = 'host-7/1' where id <= 360")
    figures = run_figures(database, run)
    assert set(figures.speed_by_workers) == {1, 2}
    assert figures.efficiency
    workers, share = figures.efficiency
    assert (workers, round(share, 1)) == (2, 0.5)  # the two were as fast together as the one alone


def test_the_efficiency_of_a_run_is_known_from_another_one_in_which_a_process_was_alone(database: Database) -> None:
    two, one = plant_long(database), plant_long(database, root="/other")
    with database.write() as connection:
        connection.exec_driver_sql(f"update chunks set worker = 'host-7/1' where run_id = {one.id}")
    compared = side_by_side(database, [run_figures(database, run) for run in (two, one)])
    assert dict(compared.rows)["efficiency"] == ["50 %", "–"]  # the two were as fast together as the one alone
    assert "efficiency" not in dict(side_by_side(database, compared.runs[:1]).rows)


def test_the_efficiency_of_a_run_rests_on_its_own_time_alone_if_it_had_one(database: Database) -> None:
    slow, run = plant_long(database, faults=Faults(chunk_s=20)), plant_long(database, root="/other")
    half = f"select min(id) + 360 from chunks where run_id = {run.id}"
    with database.write() as connection:
        connection.exec_driver_sql(
            f"update chunks set worker = 'host-7/1' where run_id = {slow.id} or run_id = {run.id} and id < ({half})"
        )
    runs = [run_figures(database, one) for one in (slow, run)]
    assert runs[1].efficiency
    _, share = runs[1].efficiency
    assert side_by_side(database, runs).efficiency(runs[1]) == share
