"""A leak, a stall, a slow worker, a failing folder and a replaced process, planted: each is found, and named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from report.robust import slope
from report.run.figures import run_figures
from report.run.findings import findings, for_people, memory_verdict
from report.run.json_report import as_json
from report.run.stability import Stability
from storage.figures import chunk_times
from storage.outcomes import requeue_failures, store_one
from tests.unit.report.long_night import Faults, plant_long
from tests.unit.report.planted import EVENING, plant_times
from tests.unit.storage.nights import (
    MODEL,
    add,
    begin,
    begin_run,
    label,
    label_all,
    members,
    photos,
    published_chunk,
    success,
    take,
)

if TYPE_CHECKING:
    from report.run.findings import Finding
    from storage.database import Database
    from storage.records import Run


def found_in(file: Database, faults: Faults) -> dict[str, Finding]:
    return {finding.kind: finding for finding in findings(run_figures(file, plant_long(file, faults=faults)))}


def test_a_night_in_which_all_went_well_has_no_findings(file: Database) -> None:
    figures = run_figures(file, plant_long(file))
    assert findings(figures) == []
    assert memory_verdict(figures).startswith("no leak: ")


def test_a_leak_is_found_in_the_process_that_has_it(file: Database) -> None:
    figures = run_figures(file, plant_long(file, faults=Faults(leak_mb_an_hour=30)))
    (leak,) = findings(figures)
    assert leak.kind == "leak"
    assert "host-7/2" in leak.sentence
    (leaky,) = [process for process in figures.stability.processes if process.verdict == "leak"]
    assert leaky.rss_slope
    assert leaky.rss_slope.low < 30 < leaky.rss_slope.high
    assert memory_verdict(figures).startswith("host-7/2 LEAKS: +30 MB/h, 95 % confidence interval ")


def test_a_step_of_the_allocator_is_no_leak(file: Database) -> None:
    figures = run_figures(file, plant_long(file, faults=Faults(memory_steps_mb=6)))
    assert findings(figures) == []
    assert "LEAKS" not in memory_verdict(figures)


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
    figures = run_figures(file, plant_long(file, faults=Faults(pause=timedelta(hours=1))))
    assert findings(figures) == []
    assert figures.pauses_s == pytest.approx(3600, abs=10)


def test_chunks_that_take_long_are_no_stalls(file: Database) -> None:
    faults = Faults(chunk_s=80, queue_ahead=timedelta(hours=2))
    assert findings(run_figures(file, plant_long(file, faults=faults))) == []


def test_a_slow_worker_is_found(file: Database) -> None:
    slow = found_in(file, Faults(slow_worker=True))["slow_worker"]
    assert "host-7/2 labelled 0.7 images/s while busy, the median process 2.0." in slow.sentence


def test_a_failing_folder_is_found(file: Database) -> None:
    found = found_in(file, Faults(failing_folder=True))
    assert "In /night/2, 1,430 of 1,430 images failed" in found["failing_folder"].sentence
    assert "20 % of the images failed, most often as `damaged`" in found["failures"].sentence
    assert found["failures"].advice.endswith("nightlabel retry --kind damaged")


def test_a_child_that_died_is_counted_and_what_it_cost(file: Database) -> None:
    restarts = found_in(file, Faults(replaced_child=True, extra_starts=3))["restarts"]
    assert restarts.sentence == "1 worker process replaced, and chunks retried 3 times."


def test_a_child_that_was_replaced_between_two_chunks_is_as_planned(file: Database) -> None:
    figures = run_figures(file, plant_long(file, faults=Faults(replaced_child=True)))
    assert figures.stability.restarts == 1
    assert findings(figures) == []


def test_what_a_later_run_superseded_is_said_and_no_share_of_time_is_made_up(file: Database) -> None:
    run = plant_long(file, faults=Faults(failing_folder=True))
    later = begin_run(file, root="/later")
    with file.write() as connection:
        connection.exec_driver_sql("update outcomes set run_id = ? where error_kind is not null", (later.id,))
    figures = run_figures(file, run)
    (superseded,) = findings(figures)
    assert superseded.sentence == "A later run has superseded 1,430 outcomes of this one."
    assert figures.shares is None


def test_of_many_stalls_the_longest_are_told(file: Database) -> None:
    run = plant_long(file, hours=0.01, faults=Faults(queue_ahead=timedelta(hours=1)))
    ids = [chunk.chunk_id for chunk in chunk_times(file, run.id)]
    for number, chunk_id in enumerate(ids):
        started = EVENING + timedelta(seconds=100 * number)
        plant_times(file, chunk_id, started, started + timedelta(seconds=5))
    found = [one for one in findings(run_figures(file, run)) if one.kind == "stall"]
    assert len(found) == len(ids) - 1
    told = for_people(found)
    assert told[:3] == found[:3]
    assert [one.sentence for one in told[3:]] == [f"{len(ids) - 4} shorter stalls: --json lists all."]


def test_missing_images_come_with_a_forecast(file: Database) -> None:
    run = plant_long(file)
    add(file, run, photos(400), chunk_size=10)
    figures = run_figures(file, run)
    (missing,) = findings(figures)
    assert missing.kind == "missing"
    assert figures.forecast_s == pytest.approx(400 / (20 / 5.04), rel=0.02)
    assert "400 of " in missing.sentence
    assert "The newest one was stored at 2025-01-01 22:30 UTC; " in missing.sentence
    assert "at the most recent speed the rest takes 1 min 4" in missing.sentence


def test_labels_of_damaged_pictures_are_counted_and_one_is_named(file: Database) -> None:
    """They are no failures; and of a run that has none, nothing is said."""
    run = begin_run(file)
    add(file, run, photos(10), chunk_size=10)
    label_all(file, run)
    assert run_figures(file, run).doubtful is None
    with file.write() as connection:
        connection.exec_driver_sql("update outcomes set warning = 'bad Huffman code' where image_id in (3, 5)")
    figures = run_figures(file, run)
    (doubtful,) = findings(figures)
    assert doubtful.kind == "doubtful"
    assert doubtful.sentence.startswith("2 partly damaged images got labels, for example /photos/")
    assert doubtful.sentence.endswith(": bad Huffman code.")
    assert as_json(figures)["images"]["doubtful"] == 2


def test_random_weights_come_first(file: Database) -> None:
    run = plant_long(file, model=replace(MODEL, weights="random"), faults=Faults(failing_folder=True))
    assert findings(run_figures(file, run))[0].kind == "random_weights"


def test_few_minutes_say_nothing_of_memory(file: Database) -> None:
    figures = run_figures(file, plant_long(file, hours=0.1, faults=Faults(leak_mb_an_hour=300)))
    assert memory_verdict(figures) == "too short to tell: 5 min 55 s of samples"
    assert findings(figures) == []


def test_one_sample_is_no_time(file: Database) -> None:
    assert memory_verdict(run_figures(file, plant_long(file, hours=0.002))) == "too short to tell"


def test_a_main_process_that_leaks_is_to_be_restarted(file: Database) -> None:
    """No limit bounds what it holds."""
    run = plant_long(file, faults=Faults(leak_mb_an_hour=30))
    with file.write() as connection:
        connection.exec_driver_sql("delete from samples where worker = 'host-7'")
        connection.exec_driver_sql("update samples set worker = 'host-7' where worker = 'host-7/2'")
    (leak,) = findings(run_figures(file, run))
    assert leak.sentence.startswith("The memory of host-7 grew")
    assert "--memory-limit" not in leak.advice


def test_a_small_folder_that_failed_is_found_among_large_ones_with_more_failures(file: Database) -> None:
    run = begin_run(file)
    refs = [
        ref._replace(path=f"/p/{folder:02}/{number:04}.jpg")
        for folder in range(30)
        for number, ref in enumerate(photos(12 if folder == 17 else 40))
    ]
    add(file, run, refs)
    failing = {ref.path for number, ref in enumerate(refs) if ref.path.startswith("/p/17/") or number % 3 == 0}
    label_all(file, run, failing=failing)
    (folder,) = run_figures(file, run).failing_folders
    assert (folder.path, folder.images, folder.failed) == ("/p/17", 12, 12)


def test_failures_that_are_retried_are_a_share_of_all_that_have_an_outcome(file: Database) -> None:
    run = begin_run(file)
    refs = photos(20)
    add(file, run, refs, chunk_size=10)
    first, second = take(file, run)
    label(file, first, failing={image.path for image in members(file, first)})
    requeue_failures(file, run.id)
    add(file, run, refs[:10], chunk_size=10)
    assert run_figures(file, run).progress.labelled == 0
    assert failed_share(file, run) == "100 % of the images failed, most often as `damaged`."
    label(file, second)
    assert failed_share(file, run) == "50 % of the images failed, most often as `damaged`."


def failed_share(file: Database, run: Run) -> str:
    (sentence,) = (one.sentence for one in findings(run_figures(file, run)) if one.kind == "failures")
    return sentence


def test_what_is_labelled_image_by_image_is_superseded_by_no_run(file: Database) -> None:
    run = begin_run(file)
    chunk = published_chunk(file, run)
    claimed = begin(file, chunk)
    assert store_one(file, claimed, success(claimed.images[0].image_id), "host-1/1")
    assert [one.kind for one in findings(run_figures(file, run))] == ["missing"]


def test_a_speed_that_falls_ever_more_slowly_falls_by_no_more_than_all_of_it() -> None:
    at_s = np.arange(60) * 60
    speed = slope(at_s, 100 * np.exp(-5 * at_s / 3600))
    assert speed
    assert speed.end < 0 < speed.begin
    assert Stability(variation=None, speed=speed, stalls=(), republished=0, restarts=0).drift == -1


def test_a_run_without_samples_says_so(file: Database) -> None:
    assert memory_verdict(run_figures(file, begin_run(file))) == "no memory samples"
