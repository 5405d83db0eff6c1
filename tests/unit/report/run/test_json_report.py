"""The report for machines: JSON whose keys stay."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from report.run.figures import run_figures
from report.run.json_report import as_json
from storage.runs import get_run, mark_scanned
from tests.unit.report.planted import plant
from tests.unit.storage.nights import MODEL, begin_run

if TYPE_CHECKING:
    from storage.database import Database

#: Programs that people wrote read these; one may be added, none may go.
KEYS = {
    "run": {"id", "state", "roots", "created_at", "finished_at", "engine", "model"},
    "run.model": {"name", "recipe", "precision", "weights", "random_weights"},
    "images": {"total", "ok", "doubtful", "failed", "missing", "already_labelled", "not_images"},
    "throughput": {"images_per_second", "labelling_s", "pauses_s", "by_minute"},
    "throughput.by_minute": {"minute", "images"},
    "stages_ms": {"queue", "read", "decode", "infer", "total"},
    "stages_ms.total": {"p50", "p95", "p99", "max"},
    "failures": {"kind", "images", "example"},
    "workers": {"name", "images", "rss_mb", "peak_rss_mb"},
}


@pytest.fixture
def report(file: Database) -> dict[str, Any]:
    """The report on a planted night, as another program reads it."""
    figures = run_figures(file, plant(file))
    parsed: dict[str, Any] = json.loads(json.dumps(as_json(figures)))
    return parsed


def missing_keys(report: dict[str, Any], place: str) -> set[str]:
    part: Any = report
    for name in place.split("."):
        part = part[name]
    return KEYS[place] - set(part[0] if isinstance(part, list) else part)


def test_every_promised_key_is_there(report: dict[str, Any]) -> None:
    assert [place for place in KEYS if missing_keys(report, place)] == []


def test_it_counts_the_images(report: dict[str, Any]) -> None:
    images = report["images"]
    assert images["total"] == 160 == images["ok"] + images["failed"]
    assert (images["missing"], images["already_labelled"], images["not_images"]) == (0, 0, 0)


def test_instants_carry_their_zone(report: dict[str, Any]) -> None:
    assert report["throughput"]["by_minute"][0]["minute"] == "2025-01-01T22:00:00+00:00"


def test_a_run_that_goes_on_has_no_end(report: dict[str, Any]) -> None:
    assert (report["run"]["state"], report["run"]["finished_at"]) == ("scanning", None)


def test_a_finished_run_ended_with_its_last_chunk(file: Database) -> None:
    run = plant(file)
    mark_scanned(file, run.id, skipped=3, ignored=4)
    finished = get_run(file, run.id)
    assert finished
    report = as_json(run_figures(file, finished))
    assert (report["run"]["state"], report["run"]["finished_at"]) == ("finished", "2025-01-01T22:13:23+00:00")
    assert (report["images"]["already_labelled"], report["images"]["not_images"]) == (3, 4)


def test_random_weights_are_said_to_be_random(file: Database) -> None:
    figures = run_figures(file, begin_run(file, replace(MODEL, weights="random")))
    assert as_json(figures)["run"]["model"]["random_weights"] is True


def test_a_night_that_has_not_begun_is_a_report_too(file: Database) -> None:
    report = as_json(run_figures(file, begin_run(file)))
    assert (report["throughput"]["images_per_second"], report["failures"], report["stages_ms"]) == (None, [], {})
    json.dumps(report)
