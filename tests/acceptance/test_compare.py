"""`nightlabel compare`: models side by side, each alone in a process of its own, on real photos.

Most tests call what the command calls, and ask for less than it does: a moment instead of half a minute a model.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import jsonschema
import psutil
import pytest

from common.errors import ArchiveError, ModelError, NightlabelError, UsageError
from models.engines.openvino import cpu_has_bf16
from runner.compare import MOST_REQUESTS, _measure_apart, compare
from runner.truth_file import Truth
from tests.command import LONG_S, wait_until
from worker.measure import Assignment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from common.settings import Settings
    from report.comparison.figures import Comparison
    from tests.command import Nightlabel

#: So little that a model is measured in a moment.
SHORT = Assignment(latency_requests=1, throughput_s=0.1)
PHOTOS = 10


def nowhere(folder: Path) -> dict[str, str]:
    """Return variables with which torchvision has no weights and can fetch none, whatever this host has."""
    closed = "http://127.0.0.1:9"  # discard(9): nobody listens there
    return {"TORCH_HOME": str(folder / "no-torch"), "http_proxy": closed, "https_proxy": closed, "no_proxy": ""}


def fill(folder: Path, photos: Path, count: int) -> Path:
    """Copy the first photos, and their truth, into a new folder."""
    folder.mkdir()
    lines = (photos / "truth.csv").read_text().splitlines()[: count + 1]
    for line in lines[1:]:
        name = line.split(",")[0]
        (folder / name).write_bytes((photos / name).read_bytes())
    (folder / "truth.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def three(tmp_path: Path, photos: Path) -> Path:
    """Three photos, and their truth."""
    return fill(tmp_path / "three", photos, 3)


class Compared(NamedTuple):
    """A comparison, and what was said meanwhile."""

    comparison: Comparison
    said: list[str]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, settings: Settings, photos: Path) -> Compared:
    """One model is trained, one has no weights, those of one are damaged; so is one of the photos.

    The shell that it is started from asks for random weights.
    """
    folder = tmp_path_factory.mktemp("compared")
    archive = fill(folder / "archive", photos, PHOTOS)
    (archive / "damaged.jpg").write_bytes((photos / "n01491361_tiger_shark.jpg").read_bytes()[:2000])
    with (archive / "truth.csv").open("a") as truth:
        truth.write("\ndamaged.jpg,3,tiger shark\n")
    assert settings.weights_dir
    weights = folder / "weights"
    weights.mkdir()
    (weights / "resnet18.pth").symlink_to(settings.weights_dir / "resnet18.pth")
    (weights / "mobilenet_v2.pth").write_bytes(b"a download that was an error page")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as shell:
        for name, value in (nowhere(folder) | {"NIGHTLABEL_WEIGHTS": "random"}).items():
            shell.setenv(name, value)
        comparison = compare(
            settings.model_copy(update={"weights_dir": weights}),
            [str(archive)],
            ["mobilenet_v2", "resnet18", "shufflenet_v2_x1_0", "resnet18"],
            said.append,
            truth=Truth(archive / "truth.csv"),
            assignment=replace(SHORT, duration_s=1.0, interval_s=0.2),
        )
    return Compared(comparison, said)


def test_a_model_is_measured_with_its_own_weights_and_random_ones_have_no_accuracy(compared: Compared) -> None:
    trained, random = compared.comparison.candidates  # once each, though one was asked for twice
    assert (trained.name, random.name) == ("resnet18, fp32", "shufflenet_v2_x1_0, fp32, RANDOM WEIGHTS")
    assert trained.top1 is not None
    assert trained.top3 is not None
    assert 0.3 < trained.top1 <= trained.top3 < 1  # of random weights it would be 0
    assert (random.top1, random.top3, random.file_mb) == (None, None, None)
    assert (trained.parameters, trained.input_px) == (11_689_512, 224)
    assert trained.file_mb
    assert 46 < trained.file_mb < 48
    assert compared.comparison.recommendation.startswith("Choose resnet18, fp32: it is right on ")
    assert compared.comparison.recommendation.endswith(
        f" % of the {PHOTOS + 1} images with ground truth, and no other has trained weights."
    )


def test_each_model_has_a_process_of_its_own(compared: Compared) -> None:
    candidates = compared.comparison.candidates
    assert len(candidates) == 2
    assert len({os.getpid(), *(one.pid for one in candidates)}) == 1 + len(candidates)
    for one in candidates:
        assert 0 < one.latency_p50_ms <= one.latency_p99_ms
        assert one.images_per_second > 1
        assert 0 < one.load_s < 60
        assert 50 < one.peak_rss_mb < 1000


def test_a_model_that_cannot_be_measured_costs_no_other_one(compared: Compared) -> None:
    ((name, reason),) = compared.comparison.not_measured
    assert name == "mobilenet_v2"
    assert "mobilenet_v2.pth is damaged" in reason
    told = compared.said.index(str(compared.comparison.not_measured[0]))
    assert told < next(place for place, line in enumerate(compared.said) if line.startswith("Measuring resnet18, fp32"))
    assert any(line.startswith("shufflenet_v2_x1_0 is measured with RANDOM weights. ") for line in compared.said)


def test_a_damaged_photo_is_no_fault_of_a_model(compared: Compared) -> None:
    assert len(compared.comparison.candidates) == 2
    for one in compared.comparison.candidates:
        assert one.errors == 1
        assert one.labels.count(None) == 1
        assert one.soak
        assert one.soak.errors == 0
        assert 1 < one.soak.requests <= 5
    assert f"1 of the {PHOTOS + 1} images could not be labelled, which counts as wrong." in compared.comparison.remarks


def test_an_interrupted_command_shows_what_is_complete(nightlabel: Nightlabel, three: Path, tmp_path: Path) -> None:
    """Weights from the environment are nothing that it heeds, nor are they its processes' business."""
    process = nightlabel.start(
        *("compare", three, "--models", "resnet18,mobilenet_v2", "--precision", "fp32"),
        *("--truth", three / "truth.csv", "--json", "--html", "models.html"),
        **nowhere(tmp_path),
        NIGHTLABEL_WEIGHTS="random",
    )
    assert process.stderr
    for line in process.stderr:
        if line.startswith("Measuring mobilenet_v2, fp32"):
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=LONG_S)

    assert process.returncode == 130
    assert errors == "Interrupted: this is what was measured by then.\nThe comparison is in models.html.\n"
    assert (nightlabel.folder / "models.html").read_text().startswith("<!doctype html>")
    document = json.loads(output)
    schema = json.loads(resources.files("report.comparison").joinpath("comparison.schema.json").read_text())
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(document)) == []
    assert document["complete"] is False
    (model,) = document["models"]
    assert (model["model"], model["random_weights"], model["top1"] > 0) == ("resnet18", False, True)


def test_a_process_is_started_without_a_fork_in_whose_hooks_an_interrupt_would_be_lost() -> None:
    code = """
import os
from common.errors import ModelError
from common.settings import load_settings
from runner.compare import USUAL, _measure_apart
forks = []
os.register_at_fork(before=lambda: forks.append("forked"))
try:
    _measure_apart(load_settings(model="resnet19"), USUAL)
except ModelError as error:
    print(forks, error)
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] There is no model 'resnet19'.")


def test_an_interrupt_before_anything_is_measured_is_one(settings: Settings, three: Path) -> None:
    def say(line: str) -> None:
        if line.startswith("Measuring"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(settings, [str(three)], ["resnet18"], say, assignment=SHORT)


def test_a_process_that_measures_dies_with_the_command(nightlabel: Nightlabel, three: Path) -> None:
    process = nightlabel.start("compare", three, "--models", "resnet18", "--precision", "fp32", "--duration", "5m")
    command = psutil.Process(process.pid)

    def measuring() -> psutil.Process | None:
        assert process.poll() is None
        try:
            return next((child for child in command.children() if "worker.measure" in child.cmdline()), None)
        except psutil.NoSuchProcess:  # another child, which ended just now
            return None

    child = wait_until(measuring)
    process.kill()
    process.wait()

    assert wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE or None)


def test_every_precision_of_the_machine_has_a_row(settings: Settings, photos: Path, tmp_path: Path) -> None:
    """It is quantised on all photos, and measured on two."""
    (tmp_path / "truth.csv").write_text(
        "file,label\n"
        f"{photos / 'n01491361_tiger_shark.jpg'},tiger shark\n"
        f"{photos / 'n01531178_goldfinch.jpg'},goldfinch\n"
    )
    own = settings.model_copy(update={"precision": "auto", "engine": "openvino", "int8_min_agreement": 0.9})
    truth = Truth(tmp_path / "truth.csv")
    candidates = compare(own, [str(photos)], ["resnet18"], print, truth=truth, assignment=SHORT).candidates

    has_int8 = find_spec("nncf") is not None
    expected = ["fp32", *(["bf16"] if cpu_has_bf16() else []), *(["int8", "cascade"] if has_int8 else [])]
    assert [one.precision for one in candidates] == expected
    assert candidates[0].file_mb
    if has_int8:
        assert candidates[-1].file_mb
        assert candidates[-1].file_mb < candidates[0].file_mb / 3


def test_a_process_that_fails_says_why(settings: Settings, three: Path) -> None:
    (three / "damaged.jpg").write_bytes(b"\xff\xd8\xff no more")
    with pytest.raises(
        ArchiveError, match=r"^Nothing could be measured. resnet18, fp32 was not measured: None of the 1 im"
    ):
        compare(settings, [str(three / "damaged.jpg")], ["resnet18"], print, assignment=SHORT)
    other = settings.model_copy(update={"model": "resnet19"})
    with pytest.raises(ModelError, match=r"^There is no model 'resnet19'\."):
        _measure_apart(other, replace(SHORT, paths=[str(three / "damaged.jpg")], roots=[str(three)]))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--models", "resnet18,resnet19"], 3, "There is no model 'resnet19'. Did you mean resnet1"),
        (["--duration", "soon"], 2, "--duration: 'soon' is no duration, as 90s, 30m, 1h30m or 7d are."),
        (["--duration", "2s"], 2, "--duration is not longer than --interval"),
        (["--html", "/missing/models.html"], 2, "/missing/models.html cannot be written: No such file or directory."),
    ],
)
def test_bad_input_is_refused_before_anything_is_measured(
    nightlabel: Nightlabel, three: Path, arguments: list[str], status: int, words: str
) -> None:
    done = nightlabel("compare", three, *arguments)
    assert (done.returncode, words in done.stderr) == (status, True), done.stderr
    assert "Measuring" not in done.stderr


@pytest.mark.parametrize(
    ("models", "include", "assignment", "words"),
    [
        ([], [], SHORT, "--models names no model"),
        (["resnet18"], ["*.jpg"], SHORT, "A truth file names its images itself"),
        (["resnet18"], [], Assignment(duration_s=2.0 * MOST_REQUESTS + 2, interval_s=2), "500,000 is the most"),
    ],
)
def test_what_makes_no_sense_is_refused(
    settings: Settings, three: Path, models: list[str], include: Sequence[str], assignment: Assignment, words: str
) -> None:
    own = settings.model_copy(update={"include": tuple(include)})
    with pytest.raises(UsageError, match=words):
        compare(own, [str(three)], models, print, truth=Truth(three / "truth.csv"), assignment=assignment)


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        ("path,label\n1.jpg,tabby\n", "must begin with the columns `file`, and `label` or `class_index`"),
        ("file,label\n", "names no image"),
        ("file,label\n1.jpg,tabby\n,tabby\n", "line 3: '' cannot be a file"),
        ("file,label\n1.jpg,tabby\n2\0.jpg,tabby\n", r"line 3: '2\\x00.jpg' cannot be a file"),
        ("file,label\n1.jpg,tabby\n2.jpg,tabby\n./1.jpg,pug\n", "line 4: './1.jpg' is the file of line 2 again"),
    ],
)
def test_a_truth_file_that_makes_no_sense_is_refused(tmp_path: Path, truth: str, words: str) -> None:
    (tmp_path / "truth.csv").write_text(truth)
    with pytest.raises(UsageError, match=words):
        Truth(tmp_path / "truth.csv")
    with pytest.raises(UsageError, match=r"^The truth file .*missing\.csv cannot be read: "):
        Truth(tmp_path / "missing.csv")


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("label\n{}/n01491361_tiger_shark.jpg,shark\n", UsageError, "line 2: no model's label is 'shark'"),
        ("class_index\n{}/n01491361_tiger_shark.jpg,1000\n", UsageError, "line 2: class_index '1000' is not 0 to 999"),
        ("label\nother.jpg,tabby\n", ArchiveError, "There is no image that the truth file names in "),
    ],
)
def test_a_truth_that_fits_no_model_or_no_image_is_refused(
    settings: Settings, three: Path, tmp_path: Path, line: str, error: type[NightlabelError], words: str
) -> None:
    (tmp_path / "truth.csv").write_text("file," + line.format(three))
    with pytest.raises(error, match=words):
        compare(settings, [str(three)], ["resnet18"], print, truth=Truth(tmp_path / "truth.csv"), assignment=SHORT)


def test_a_truth_file_may_name_files_whose_names_are_not_utf_8(three: Path) -> None:
    name = b"caf\xe9.jpg"
    (three / "n01531178_goldfinch.jpg").rename(three / os.fsdecode(name))
    (three / "truth.csv").write_bytes(b"file,label\n" + name + b",goldfinch\n")
    truth = Truth(three / "truth.csv")

    (path,) = truth.below([str(three.resolve())])

    assert os.path.basename(os.fsencode(path)) == name
    assert truth.label(path, ["goldfinch"]) == "goldfinch"


def test_a_truth_file_is_asked_for_the_images_that_are_here(three: Path, tmp_path: Path) -> None:
    """Those below the roots, wherever else it names some; and what is there, whatever it names."""
    (tmp_path / "other.jpg").write_bytes(b"")
    (three / "truth.csv").write_text(
        "file,label\nn01531178_goldfinch.jpg,goldfinch\ngone.jpg,tabby\nn01491361_tiger_shark.jpg,tiger shark\n"
        f"{tmp_path / 'other.jpg'},tabby\n"
    )
    truth = Truth(three / "truth.csv")
    root = three.resolve()
    assert len(truth) == 4
    assert truth.below([str(root)]) == [
        str(root / "n01491361_tiger_shark.jpg"),
        str(root / "n01531178_goldfinch.jpg"),
    ]
    assert truth.below([str(root / "n01531178_goldfinch.jpg")]) == [str(root / "n01531178_goldfinch.jpg")]
