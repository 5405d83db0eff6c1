"""`nightlabel bench`: figures of this machine and these photos, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import runner.bench
from common.errors import ArchiveError
from models.engines.openvino import cpu_has_bf16
from nightlabel.bench_display import BenchLines
from runner.bench import bench
from storage.records import ImageRef
from tests.command import QUICK
from tests.conftest import ROOT
from tests.unit.report.planted import EVENING, plant_times
from tests.unit.storage.nights import add, begin, begin_run, sample, store_with_sample, success, take
from tests.unit.storage.nights import photos as planted_photos

if TYPE_CHECKING:
    from pathlib import Path

    from common.settings import Settings
    from storage.database import Database
    from tests.command import Nightlabel


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure for moments: what is measured is not at stake here, but that it is."""
    monkeypatch.setattr(runner.bench, "DECODING_S", 0.2)
    monkeypatch.setattr(runner.bench, "INFERENCE_S", 0.2)
    monkeypatch.setattr(runner.bench, "SYSTEM_S", 2.0)


@pytest.fixture
def few(photos: Path, tmp_path: Path) -> Path:
    """An archive of three photos, one of them damaged."""
    folder = tmp_path / "few"
    folder.mkdir()
    for photo in sorted(photos.glob("*.jpg"))[:2]:
        shutil.copy(photo, folder)
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff and nothing of a picture")
    return folder


def test_every_part_is_measured_and_the_night_foretold(
    photos: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    display = BenchLines(is_aside=False)
    lenient = {"int8_min_agreement": 0.9, "cascade_min_agreement": 0.9}  # 63 photos: too few to measure it to a percent
    measured = bench(settings.model_copy(update={"workers": 2} | lenient), [str(photos)], display)
    display.conclusion(measured)

    assert (measured.images, measured.is_whole, measured.unlabelled) == (125, True, 0)
    assert measured.read_ms > 0
    assert measured.decode_ms > 0
    assert measured.mean_megapixels == pytest.approx(0.2, abs=0.1)
    assert isinstance(measured.inference["fp32"], float)
    assert isinstance(measured.inference["bf16"], float) == cpu_has_bf16()
    assert isinstance(measured.inference["int8"], float)
    assert isinstance(measured.inference["cascade"], float)
    assert [(speed.precision, speed.workers) for speed in measured.system] == [("fp32", 1), ("fp32", 2)]
    assert measured.cascade
    assert (measured.cascade.precision, measured.cascade.workers) == ("cascade", 2)
    assert measured.advice
    assert measured.advice.gain == pytest.approx(
        measured.cascade.images_per_second / measured.system[-1].images_per_second
    )
    assert all(speed.images >= 64 and speed.images_per_second > 0 for speed in measured.system)
    assert all(speed.worker_rss_mb > 50 for speed in measured.system)
    assert all(0.5 < speed.decode_share + speed.infer_share < 1.02 for speed in measured.system)
    assert measured.forecast_s == pytest.approx(125 / measured.best.images_per_second)
    text = capsys.readouterr().out
    assert "125 images" in text
    assert "2 workers" in text
    assert "a worker's time: decode" in text
    assert "cascade, calibrated on 62 images, gives" in text
    assert str(measured.advice) in text


def test_a_small_archive_with_a_damaged_file_is_measured_over_and_over(
    few: Path, settings: Settings, own_cache: Path
) -> None:
    own = settings.model_copy(update={"workers": 1, "cache_dir": own_cache})
    measured = bench(own, [str(few)], BenchLines(is_aside=True))
    assert measured.images == 3
    assert measured.sampled > 3
    assert 0 < measured.unlabelled < measured.sampled
    assert measured.system[0].images >= 64
    assert (measured.cascade, measured.advice) == (None, None)  # too few images to calibrate on


def test_an_archive_without_a_picture_is_refused_with_a_reason(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff and nothing of a picture")
    with pytest.raises(ArchiveError, match=r"None of \d+ images could be decoded"):
        bench(settings, [str(tmp_path)], BenchLines(is_aside=True))


def test_other_spellings_of_a_path_lead_to_the_same_file(few: Path) -> None:
    path = str(few / "damaged.jpg")
    source = runner.bench._endless([ImageRef(path, 1, 1)])
    spellings = [next(source).path for _ in range(4)]
    assert len(set(spellings)) == 4
    assert all(os.path.samefile(spelling, path) for spelling in spellings)


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_workers_are_doubled_up_to_as_many_as_a_run_would_use(most: int, counts: list[int]) -> None:
    assert runner.bench._worker_counts(most) == counts


def test_the_command_prints_json_and_keeps_nothing(nightlabel: Nightlabel, few: Path, own_cache: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", QUICK, "bench", few, "--workers", "1", "--json"],
        cwd=nightlabel.folder,
        env=nightlabel.environment | {"NIGHTLABEL_CACHE_DIR": str(own_cache), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["images"] == 3
    assert figures["forecast_s"] > 0
    assert figures["inference"]["fp32"] > 0
    assert figures["inference"]["int8"] is None  # not quantised
    assert "1 worker " in done.stderr
    assert not nightlabel.database.exists()


def test_a_missing_folder_is_named_at_once(nightlabel: Nightlabel) -> None:
    done = nightlabel("bench", "/no/such/folder")
    assert done.returncode == ArchiveError.exit_status
    assert "/no/such/folder" in done.stderr


def test_a_worker_that_had_nothing_left_to_do_does_not_slow_the_other(database: Database) -> None:
    run = begin_run(database)
    add(database, run, planted_photos(40), chunk_size=10)
    for chunk, worker, seconds in zip(take(database, run), "abbb", (0, 0, 1, 2), strict=True):
        claimed = begin(database, chunk, worker)
        outcomes = [success(image.image_id, decode_ms=20, infer_ms=70) for image in claimed.images]
        store_with_sample(database, claimed, outcomes, sample(worker, rss_bytes=200_000_000))
        begun = EVENING + timedelta(seconds=seconds)
        plant_times(database, chunk.id, begun, begun + timedelta(seconds=1))

    speed = runner.bench._system_speed(database, run, 2)

    assert (speed.workers, speed.images, speed.images_per_second) == (2, 40, 20)
    assert speed.worker_rss_mb == 200
    assert speed.decode_share == pytest.approx(40 * 0.020 / 4)
    assert speed.infer_share == pytest.approx(40 * 0.070 / 4)
