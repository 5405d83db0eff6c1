"""The report for people: one screen of 80 columns that says what matters."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from report.run.figures import run_figures
from report.run.terminal import print_report
from report.run.throughput import MinuteFigures
from report.words import duration
from storage.records import DoubtfulImages, FailureCount
from tests.unit.report.long_night import Faults, plant_long
from tests.unit.report.planted import EVENING, plant
from tests.unit.storage.nights import MODEL, begin_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.run.figures import RunFigures
    from storage.database import Database


@pytest.fixture
def figures(file: Database) -> RunFigures:
    return run_figures(file, plant(file))


def printed(figures: RunFigures) -> str:
    """Return what a terminal of 80 columns gets, byte by byte in UTF-8."""
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    print_report(figures, Console(file=terminal, width=80, force_terminal=False))
    terminal.seek(0)
    return terminal.read()


def widest(text: str) -> int:
    return max(len(line) for line in text.splitlines())


def minutes(counts: Sequence[int]) -> tuple[MinuteFigures, ...]:
    return tuple(
        MinuteFigures(minute=EVENING + timedelta(minutes=number), images=images, is_whole=0 < number < len(counts) - 1)
        for number, images in enumerate(counts)
    )


def test_a_night_fits_80_columns(figures: RunFigures) -> None:
    assert widest(printed(figures)) <= 80


def test_a_short_run_on_a_fast_machine_fits_80_columns(figures: RunFigures) -> None:
    assert widest(printed(replace(figures, minutes=minutes([12_345] * 5)))) <= 80


def test_long_names_of_workers_and_paths_fit_80_columns(figures: RunFigures) -> None:
    example = f"/photos/{'holiday/' * 20}1.jpg"
    workers = tuple(replace(worker, name=f"{'a-very-long-host-name.' * 3}-4711/1") for worker in figures.workers)
    failures = (FailureCount(kind="not_an_image", images=12_345, example=example),)
    assert widest(printed(replace(figures, workers=workers, failures=failures))) <= 80


def test_findings_fit_80_columns_and_keep_their_words_whole(file: Database) -> None:
    faults = Faults(leak_mb_an_hour=60, slow_worker=True, failing_folder=True, replaced_child=True, extra_starts=3)
    text = printed(run_figures(file, plant_long(file, faults=faults)))
    assert widest(text) <= 80
    assert len(text.splitlines()) <= 45
    told = " ".join(text.split())
    assert "Does it have slower cores, or does another program use them?" in told
    assert "1 worker process replaced, and chunks retried 3 times." in told


def test_it_says_how_many_how_fast_and_for_how_long(figures: RunFigures) -> None:
    text = printed(figures)
    assert f"160: {figures.progress.ok} labelled, {figures.progress.failed} failed" in text
    assert f"{figures.images_per_second:,.1f} images/s over 2 min 22 s, without pauses of 11 min 01 s" in text


def test_how_many_are_partly_damaged_is_said(figures: RunFigures) -> None:
    doubtful = DoubtfulImages(images=7, example="/photos/1.jpg", warning="bad Huffman code")
    assert f"{figures.progress.ok} labelled (7 partly damaged)" in printed(replace(figures, doubtful=doubtful))


def test_it_names_the_model_and_the_engine(figures: RunFigures) -> None:
    assert "resnet18, fp32, weights aa1dea68, on openvino" in printed(figures)


def test_random_weights_are_said_to_be_random_loudly(file: Database) -> None:
    text = printed(run_figures(file, begin_run(file, replace(MODEL, weights="random"))))
    assert "RANDOM WEIGHTS" in text
    assert "The weights are RANDOM: these labels mean nothing." in text


def test_trained_weights_are_not_said_to_be_random(figures: RunFigures) -> None:
    assert "RANDOM" not in printed(figures)


def test_every_stage_and_every_kind_of_failure_has_its_line(figures: RunFigures) -> None:
    lines = printed(figures).splitlines()
    for name in ("queue", "read", "decode", "infer", "read + decode + infer", "damaged", "vanished"):
        assert any(line.startswith(f"{name}  ") for line in lines), name


def test_what_is_missing_is_said(file: Database, figures: RunFigures) -> None:
    progress = replace(figures.progress, images=200)
    assert "40 still missing" in printed(replace(figures, progress=progress))


def test_what_had_its_labels_already_is_said(figures: RunFigures) -> None:
    assert "1,234 more had their labels already" in printed(replace(figures, run=replace(figures.run, skipped=1234)))


def test_a_long_night_shows_its_slowest_median_and_fastest_whole_minute(figures: RunFigures) -> None:
    text = printed(replace(figures, minutes=minutes([1, 600, 500, 700, 900, 800, 2])))
    assert "500 to 900 images, median 700" in text


def test_many_workers_are_cut_short(figures: RunFigures) -> None:
    workers = tuple(replace(figures.workers[0], name=f"host-1/{number}") for number in range(20))
    text = printed(replace(figures, workers=workers))
    assert "and 14 more: --json lists them" in text
    assert "host-1/6" not in text


def test_square_brackets_in_a_path_are_shown_as_they_are(figures: RunFigures) -> None:
    failures = (FailureCount(kind="damaged", images=1, example="/photos/[red]/[/x].jpg"),)
    roots = ("/photos/[old]",)
    text = printed(replace(figures, failures=failures, run=replace(figures.run, roots=roots)))
    assert "/photos/[red]/[/x].jpg" in text
    assert "/photos/[old]" in text


def test_a_root_whose_name_is_not_utf8_can_be_printed(figures: RunFigures) -> None:
    assert "Run 1: /photos/gr" in printed(
        replace(figures, run=replace(figures.run, roots=("/photos/gr\udcfc\udcdfe",)))
    )


@pytest.mark.parametrize(("files", "words"), [(1, "1 file is a copy of another"), (2, "2 files are copies of others")])
def test_copies_are_counted_in_words_that_fit(figures: RunFigures, files: int, words: str) -> None:
    same = replace(figures.outcomes.duplicates, extra_files=files)
    assert words in printed(replace(figures, outcomes=replace(figures.outcomes, duplicates=same)))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (42.4, "42 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (25_530, "7 h 05 min"),
    ],
)
def test_a_duration_is_told_as_people_tell_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text
