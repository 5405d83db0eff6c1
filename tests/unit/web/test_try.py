"""Try, and `POST /api/classify`: what people and programs send is labelled as a run labels it."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx2
import jsonschema
import pytest
from PIL import Image

from common.settings import as_environment
from tests.command import wait_until
from tests.conftest import ROOT, missing
from tests.unit.pictures.pictures import BEST, encoded
from tests.unit.web.sending import SCHEMA, classify, kept_files
from worker.classify import Classifier, classify_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from tests.unit.web.serving import Served

AS_JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture(scope="module")
def in_each_format(goldfinch: bytes) -> dict[str, bytes]:
    """The same photo in every format that is read."""
    with Image.open(io.BytesIO(goldfinch)) as photo:
        return {name: encoded(photo, name, **options) for name, options in BEST.items()}


def test_every_format_gets_the_labels_that_the_command_gives_it(
    model_page: Served, in_each_format: dict[str, bytes], resnet18: ReadyModel, settings: Settings, tmp_path: Path
) -> None:
    """Bit for bit, whatever the name says."""
    answer = classify(model_page, *((f"{name}.txt", data) for name, data in in_each_format.items()))

    classifier = Classifier(resnet18, settings)
    expected = {}
    for name, data in in_each_format.items():
        path = tmp_path / name
        path.write_bytes(data)
        expected[f"{name}.txt"] = classifier.classify([str(path)])[0].found_as_json("en")
    given = {result.pop("file"): result for result in answer.json()["results"]}
    for result in (*given.values(), *expected.values()):
        assert all(result.pop(stage) > 0 for stage in ("read_ms", "decode_ms", "infer_ms", "total_ms"))
    assert given == expected
    assert {result["labels"][0]["label"] for result in given.values()} == {"goldfinch"}
    assert kept_files(model_page) == []


def test_photos_get_the_labels_of_the_command(model_page: Served, photos: Path, settings: Settings) -> None:
    """Bit for bit: alone here, and there in a batch."""
    paths = sorted(photos.glob("*.jpg"))[:12]

    results = classify(model_page, *((path.name, path.read_bytes()) for path in paths)).json()["results"]

    expected = [answer.as_json("en") for answer in classify_files([str(path) for path in paths], settings)]
    assert [result["labels"] for result in results] == [answer["labels"] for answer in expected]
    assert [result["kind_score"] for result in results] == [answer["kind_score"] for answer in expected]


def test_the_model_is_named(model_page: Served, goldfinch: bytes, resnet18: ReadyModel) -> None:
    answer = classify(model_page, ("a.jpg", goldfinch)).json()

    assert (answer["model"], answer["precision"], answer["engine"]) == ("resnet18", "fp32", "openvino")
    assert (answer["weights"], answer["random_weights"]) == (resnet18.model.weights, False)


def test_a_picture_alone_is_a_request(model_page: Served, goldfinch: bytes) -> None:
    """As `curl --data-binary` sends it, with its type or with curl's own."""
    for kind in ("image/jpeg", "application/x-www-form-urlencoded"):
        answer = model_page.post("/api/classify?lang=de", content=goldfinch, headers={"Content-Type": kind})

        jsonschema.validate(answer.json(), SCHEMA)
        (result,) = answer.json()["results"]
        assert (result["file"], result["labels"][0]["name"]) == (None, "Stieglitz")


def test_without_scripts_the_form_answers_with_a_page(model_page: Served, in_each_format: dict[str, bytes]) -> None:
    """A HEIC and a TIFF have a preview too, which browsers do not make themselves."""
    sent = [("files", (f"a.{name}", in_each_format[name])) for name in ("HEIF", "TIFF")]
    sent.append(("files", ("broken.jpg", b"text")))

    answer = model_page.post("/try", files=sent, headers={"Accept-Language": "de"})

    assert answer.status_code == 200
    assert answer.text.count('src="data:image/jpeg;base64,') == 2
    assert answer.text.count("Stieglitz") == 2
    assert "not in a supported format" in answer.text
    assert 'enctype="multipart/form-data"' in answer.text


def test_the_page_says_what_is_wrong_with_a_form(model_page: Served) -> None:
    answer = model_page.post("/try", files={"files": ("", b"")})

    assert answer.status_code == 400
    assert "There is no picture in this form." in answer.text
    assert 'type="file"' in answer.text


def test_the_examples_in_the_documentation_work(model_page: Served, goldfinch: bytes, tmp_path: Path) -> None:
    if not shutil.which("curl"):
        missing("no curl on PATH")
    for name in ("cat.jpg", "dog.heic"):
        (tmp_path / name).write_bytes(goldfinch)
    documented = (ROOT / "docs" / "web.md").read_text().replace("http://127.0.0.1:8420", model_page.url)
    commands = [line.replace("curl", "curl -sf", 1) for line in documented.splitlines() if line.startswith("curl ")]
    program = documented.split("```python\n")[1].split("```")[0]

    sent = [json.loads(subprocess.check_output(command, shell=True, cwd=tmp_path)) for command in commands]  # noqa: S602 - ours
    printed = subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, text=True)

    assert [len(answer["results"]) for answer in sent] == [2, 1]
    assert sent[1]["results"][0]["labels"][0]["name"] == "Stieglitz"
    assert re.fullmatch(r"99\.\d% goldfinch, a songbird\n", printed)


def test_a_script_that_serves_the_page_is_run_once(settings: Settings, goldfinch: bytes, tmp_path: Path) -> None:
    """The processes of the page are new ones of Python, which would import it."""
    script = tmp_path / "page.py"
    script.write_text('import nightlabel\nprint("begun", flush=True)\nnightlabel.web(is_ready=print)\n')
    own = {"NIGHTLABEL_WEB_PORT": "0", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, script], env=os.environ | as_environment(settings) | own, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout
            assert server.stdout.readline() == "begun\n"
            url = f"{server.stdout.readline().strip()}api/classify"
            wait_until(lambda: httpx2.post(url, content=goldfinch, headers=AS_JPEG, timeout=60).is_success or None)
        finally:
            server.terminate()
        said = server.stdout.read()

    assert said == ""


def test_a_model_whose_weights_are_missing_says_what_to_do_and_is_found_once_they_are_there(
    serve: Callable[..., Served],
    settings: Settings,
    goldfinch: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings.weights_dir
    monkeypatch.setattr("web.warm_model._LOOK_AGAIN_S", 0.0)
    weights = tmp_path / "weights.pth"
    page = serve(weights=str(weights), cache_dir=settings.cache_dir, precision="fp32")

    wait_until(lambda: page.state.model.found.error or classify(page, ("a.jpg", goldfinch)).is_success or None)
    refused = classify(page, ("a.jpg", goldfinch))
    shown = page.post("/try", files={"files": ("a.jpg", goldfinch)})
    weights.symlink_to(settings.weights_dir / "resnet18.pth")

    assert (refused.status_code, shown.status_code) == (503, 503)
    assert refused.json()["error"].startswith(f"There is no weights file {weights}.")
    assert f"There is no weights file {weights}." in shown.text
    wait_until(lambda: classify(page, ("a.jpg", goldfinch)).is_success or None)


def test_random_weights_are_said_loudly(serve: Callable[..., Served], settings: Settings, goldfinch: bytes) -> None:
    page = serve(weights="random", engine="torch", cache_dir=settings.cache_dir)

    wait_until(lambda: classify(page, ("a.jpg", goldfinch)).is_success or None)
    shown = page.post("/try", files={"files": ("a.jpg", goldfinch)}).text

    assert classify(page, ("a.jpg", goldfinch)).json()["random_weights"] is True
    assert shown.count("RANDOM WEIGHTS: the labels mean nothing.") == 1
    assert shown.count("RANDOM WEIGHTS: these labels mean nothing.") == 1
