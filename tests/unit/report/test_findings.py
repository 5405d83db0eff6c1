"""A leak, a stall, a slow worker, a failing folder and a replaced process, planted: each is found, and named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from report.findings import findings, memory_verdict
from report.night import night_figures
from storage.figures import chunk_times
from tests.unit.report.long_night import Faults, plant_long
from tests.unit.report.planted import EVENING, plant_times
from tests.unit.storage.nights import MODEL, add, begin_run, photos

if TYPE_CHECKING:
    from report.findings import Finding
    from storage.database import Database


def found_in(file: Database, faults: Faults) -> dict[str, Finding]:
    return {finding.kind: finding for finding in findings(night_figures(file, plant_long(file, faults=faults)))}


def test_a_night_in_which_all_went_well_has_no_findings(file: Database) -> None:
    night = night_figures(file, plant_long(file))
    assert findings(night) == []
    assert memory_verdict(night).startswith("no leak: ")


def test_a_leak_is_found_in_the_process_that_has_it(file: Database) -> None:
    night = night_figures(file, plant_long(file, faults=Faults(leak_mb_an_hour=30)))
    (leak,) = findings(night)
    assert leak.kind == "leak"
    assert "host-7/2" in leak.sentence
    (leaky,) = [process for process in night.stability.processes if process.verdict == "leak"]
    assert leaky.rss_slope
    assert leaky.rss_slope.low < 30 < leaky.rss_slope.high
    assert memory_verdict(night).startswith("host-7/2 LEAKS: +30 MB/h, 95 % interval ")


def test_a_step_of_the_allocator_is_no_leak(file: Database) -> None:
    night = night_figures(file, plant_long(file, faults=Faults(memory_steps_mb=6)))
    assert findings(night) == []
    assert "LEAKS" not in memory_verdict(night)


def test_a_stall_is_found_with_its_time_and_length(file: Database) -> None:
    faults = Faults(stall=(timedelta(minutes=15), timedelta(seconds=55)))
    stall = found_in(file, faults)["stall"]
    assert "From 2025-01-01 22:14:5" in stall.sentence
    assert "nothing was labelled for 5" in stall.sentence
    assert "though 2 chunks waited" in stall.sentence


def test_an_hour_without_workers_is_a_stall_where_chunks_were_published(file: Database) -> None:
    faults = Faults(pause=timedelta(hours=1), queue_ahead=timedelta(hours=2))
    stall = found_in(file, faults)["stall"]
    assert "nothing was labelled for 1 h 00 min" in stall.sentence


def test_a_run_that_was_interrupted_has_no_stall(file: Database) -> None:
    night = night_figures(file, plant_long(file, faults=Faults(pause=timedelta(hours=1))))
    assert findings(night) == []
    assert night.pauses_s == pytest.approx(3600, abs=10)


def test_chunks_that_take_long_are_no_stalls(file: Database) -> None:
    faults = Faults(chunk_s=80, queue_ahead=timedelta(hours=2))
    assert findings(night_figures(file, plant_long(file, faults=faults))) == []


def test_a_slow_worker_is_found(file: Database) -> None:
    slow = found_in(file, Faults(slow_worker=True))["slow_worker"]
    assert "host-7/2 labelled 0.7 images a second while it had work; usual were 2.0." in slow.sentence


def test_a_failing_folder_is_found(file: Database) -> None:
    found = found_in(file, Faults(failing_folder=True))
    assert "In /night/2, 1,430 of 1,430 images failed" in found["failing_folder"].sentence
    assert "20 % of the images failed, most of them as `damaged`" in found["failures"].sentence
    assert found["failures"].advice.endswith("nightlabel retry --kind damaged")


def test_a_child_that_died_is_counted_and_what_it_cost(file: Database) -> None:
    restarts = found_in(file, Faults(replaced_child=True, extra_starts=1))["restarts"]
    assert restarts.sentence == "1 worker process had to be replaced, and 1 chunk begun again."


def test_a_child_that_was_replaced_between_two_chunks_is_as_planned(file: Database) -> None:
    night = night_figures(file, plant_long(file, faults=Faults(replaced_child=True)))
    assert night.stability.restarts == 1
    assert findings(night) == []


def test_what_a_later_run_took_over_is_said_and_no_share_of_time_is_made_up(file: Database) -> None:
    run = plant_long(file, faults=Faults(failing_folder=True))
    later = begin_run(file, root="/later")
    with file.write() as connection:
        connection.exec_driver_sql("update outcomes set run_id = ? where error_kind is not null", (later.id,))
    night = night_figures(file, run)
    (taken_over,) = findings(night)
    assert taken_over.sentence == "A later run has labelled 1,430 images of this one again."
    assert night.shares is None


def test_of_many_stalls_the_longest_are_told(file: Database) -> None:
    run = plant_long(file, hours=0.01, faults=Faults(queue_ahead=timedelta(hours=1)))
    ids = [chunk.chunk_id for chunk in chunk_times(file, run.id)]
    for number, chunk_id in enumerate(ids):
        started = EVENING + timedelta(seconds=100 * number)
        plant_times(file, chunk_id, started, started + timedelta(seconds=5))
    told = [one.sentence for one in findings(night_figures(file, run)) if one.kind == "stall"]
    assert len(told) == 4
    assert told[-1] == f"{len(ids) - 4} shorter stalls: --json names all."


def test_missing_images_come_with_a_forecast(file: Database) -> None:
    run = plant_long(file)
    add(file, run, photos(400), chunk_size=10)
    night = night_figures(file, run)
    (missing,) = findings(night)
    assert missing.kind == "missing"
    assert night.forecast_s == pytest.approx(400 / (20 / 5.04), rel=0.02)
    assert "400 of " in missing.sentence
    assert "they take 1 min 4" in missing.sentence


def test_random_weights_come_first(file: Database) -> None:
    run = plant_long(file, model=replace(MODEL, weights="random"), faults=Faults(failing_folder=True))
    assert findings(night_figures(file, run))[0].kind == "random_weights"


def test_few_minutes_say_nothing_of_memory(file: Database) -> None:
    night = night_figures(file, plant_long(file, hours=0.1, faults=Faults(leak_mb_an_hour=300)))
    assert memory_verdict(night).startswith("too short to tell: ")
    assert findings(night) == []


def test_a_run_without_samples_says_so(file: Database) -> None:
    assert memory_verdict(night_figures(file, begin_run(file))) == "no process left samples"
