"""Which precision to take: said with what it gains and what it costs, before a large archive is labelled, too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import runner.look_ahead
from models.calibrated import Agreement, Calibrated, CascadeRule
from models.resolve import resolve
from runner.advice import Advice, advise
from runner.calibration import calibrate_on
from runner.display import Silent
from runner.look_ahead import look_ahead
from runner.run import open_scan_run
from storage.outcomes import Stored, store
from storage.runs import cancel
from tests.unit.storage.nights import add, begin, begin_run, success, take
from tests.unit.storage.nights import photos as planted_photos

if TYPE_CHECKING:
    from common.settings import Settings
    from storage.database import Database


def calibrated(agreement: float) -> Calibrated:
    return Calibrated(
        folder=Path(),
        calibration="",
        rest="fp32",
        quality=Agreement(calibrated_on=1000, measured_on=500, agreement=agreement),
        cascade=CascadeRule(full="fp32", least_margin=0.4, set_agreement=0.999, full_share=0.15),
    )


def test_what_is_faster_is_advised_with_its_gain_and_its_price() -> None:
    advice = advise("fp32", 40.0, 28.0, calibrated(0.998))
    assert advice.precision == "cascade"
    assert str(advice) == (
        "Take --precision cascade: 1.4 × as fast as fp32, 99.8% the same labels as fp32 (of 500 images that it was not"
        " calibrated on)."
    )


def test_what_is_hardly_faster_is_not() -> None:
    advice = advise("bf16", 10.0, 9.7, calibrated(1.0))
    assert advice.precision == "bf16"
    assert str(advice) == "Keep bf16: on these images and this CPU the cascade is 1.03 × as fast."


def test_both_times_are_told() -> None:
    advice = Advice(usual="fp32", gain=1.5, agreement=0.9975, measured_on=400)
    assert advice.with_times(2_000_000, 15 * 3600) == (
        "2,000,000 images take about 15 h 00 min in fp32, and 10 h 00 min with --precision cascade, which gives 99.8%"
        " of images the same label as fp32."
    )


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos are a large archive here."""
    monkeypatch.setattr(runner.look_ahead, "LARGE", 100)


def test_a_small_archive_is_begun_without_a_word(photos: Path, settings: Settings) -> None:
    assert look_ahead(settings, [str(photos)], 2) is None


@pytest.mark.usefixtures("large")
def test_of_a_large_one_its_time_is_told_and_how_to_find_out_more(
    photos: Path, settings: Settings, own_cache: Path
) -> None:
    own = settings.model_copy(update={"precision": "auto", "cache_dir": own_cache})
    told = look_ahead(own, [str(photos)], 2)
    assert told
    assert told.startswith("125 images take about ")
    assert (
        f" in {resolve(own).model.precision}. `nightlabel bench` measures how much faster --precision cascade is here"
        in told
    )


@pytest.mark.usefixtures("large")
def test_where_the_cascade_is_calibrated_both_times_are_told_if_it_is_faster(
    photos: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings.model_copy(update={"precision": "cascade", "cascade_min_agreement": 0.9})
    calibrate_on(own, [str(photos)])
    usual = own.model_copy(update={"precision": "auto"})
    told = look_ahead(usual, [str(photos)], 2)
    both = f" in {resolve(usual).model.precision}, and ", " with --precision cascade, which gives "
    assert told is None or all(part in told for part in both)


@pytest.mark.usefixtures("large")
def test_what_the_look_cannot_measure_is_left_to_the_run(tmp_path: Path, settings: Settings) -> None:
    for number in range(120):
        (tmp_path / f"{number}.jpg").write_bytes(b"\xff\xd8\xff no picture")
    assert look_ahead(settings, [str(tmp_path)], 2) is None
    assert look_ahead(settings, [str(tmp_path / "gone")], 2) is None


class Notes(Silent):
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, sentence: str) -> None:
        self.told.append(sentence)


@pytest.mark.usefixtures("large")
def test_a_run_that_finds_labels_of_its_model_is_told_no_time(
    photos: Path, settings: Settings, own_cache: Path, database: Database
) -> None:
    """The next evening, most of an archive has its labels, and its size says nothing of the night."""
    own = settings.model_copy(update={"precision": "auto", "cache_dir": own_cache, "workers": 1})

    def told(**changed: object) -> list[str]:
        notes = Notes()
        run = open_scan_run(own.model_copy(update=changed), [str(photos)], database, notes).run
        cancel(database, run.id)
        return [sentence for sentence in notes.told if " images take about " in sentence]

    assert len(told()) == 1
    earlier = begin_run(database, resolve(own).model)
    add(database, earlier, planted_photos(1))
    claimed = begin(database, take(database, earlier)[0])
    assert store(database, claimed, [success(claimed.images[0].image_id)], "host-1/1") is Stored.DONE
    assert told() == []
    assert len(told(relabel=True)) == 1
