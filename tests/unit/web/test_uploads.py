"""What people and programs send is kept apart, bounded, and refused in a sentence: it costs no more than its answer."""

from __future__ import annotations

import io
import os
import signal
import time
import zipfile
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from PIL import Image

from tests.command import wait_until
from tests.conftest import ROOT
from tests.unit.pictures.pictures import encoded
from tests.unit.web.sending import classify, connected, kept_files
from web import warm_model
from web.model_process import label_file
from web.uploads import MOST_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from tests.unit.web.serving import Served
    from web.model_process import Labelled

SCRIPT = "\"'><script>alert(1)</script>.jpg"
#: What the planted decoder knows: it ends its process, or hangs.
FATAL, ENDLESS = b"fatal", b"endless"


def test_what_cannot_be_labelled_costs_no_other_file(model_page: Served, goldfinch: bytes, photos: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("a.jpg", goldfinch)
    goose = (photos / "n01855672_goose.jpg").read_bytes()
    middle = len(goose) // 2
    sent = {
        "empty.jpg": b"",
        "text.jpg": b"no picture",
        "zip.jpg": archive.getvalue(),
        "cut.jpg": goldfinch[: len(goldfinch) // 2],
        "vast.png": encoded(Image.new("1", (20_000, 6_000)), "PNG"),
        "large.jpg": goldfinch + bytes(2_000_000),
        "damaged.jpg": goose[:middle] + bytes(4096) + goose[middle + 4096 :],
        "good.jpg": goldfinch,
    }

    answer = classify(model_page, *sent.items())

    results = {result["file"]: result for result in answer.json()["results"]}
    assert answer.status_code == 200
    assert {name: result["error_kind"] for name, result in results.items()} == {
        "empty.jpg": "not_an_image",
        "text.jpg": "not_an_image",
        "zip.jpg": "not_an_image",
        "cut.jpg": "truncated",
        "vast.png": "too_large",
        "large.jpg": "too_large",
        "damaged.jpg": None,
        "good.jpg": None,
    }
    assert "NIGHTLABEL_MAX_FILE_MB" in results["large.jpg"]["error"]
    assert results["damaged.jpg"]["warning"].startswith("Corrupt JPEG data")
    assert results["good.jpg"]["labels"][0]["label"] == "goldfinch"


def test_a_request_none_of_whose_pictures_can_be_labelled_is_422(model_page: Served) -> None:
    answer = classify(model_page, ("a.jpg", b"text"))

    assert answer.status_code == 422
    assert answer.json()["results"][0]["error"] == "not in a supported format"


@pytest.mark.parametrize(
    ("request_", "status", "said"),
    [
        ({"files": [("f", ("a.jpg", b"a"))] * (MOST_FILES + 1)}, 413, "at most 20"),
        ({"files": {"f": ("", b"")}}, 400, "no picture"),
        ({"content": b"", "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
        ({"json": {"path": "/etc/passwd"}}, 415, "multipart/form-data"),
        ({"content": bytes(4_000_001), "headers": {"Content-Type": "image/jpeg"}}, 413, "at most 4 MB"),
    ],
    ids=["too many", "none", "no boundary", "JSON", "too large"],
)
def test_what_is_no_request_for_labels_is_told_so(
    request_: dict[str, Any], status: int, said: str, model_page: Served
) -> None:
    answer = model_page.post("/api/classify", **request_)

    assert (answer.status_code, said in answer.json()["error"]) == (status, True)


def test_ten_gigabytes_are_refused_before_any_of_them_comes(model_page: Served) -> None:
    with connected(model_page) as sending:
        sending.sendall(b"POST /try HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000000000\r\n\r\n")
        answer = b""
        while b"may be sent" not in answer:
            part = sending.recv(4096)
            assert part
            answer += part

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_without_an_end_is_cut(model_page: Served) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 1_000_000
            yield bytes(1_000_000)

    try:
        answer = model_page.post("/api/classify", content=endless(), headers={"Content-Type": "image/jpeg"})
        assert answer.status_code == 413
    except httpx2.NetworkError:
        pass  # the connection was closed while more was being sent
    assert sent < 50_000_000
    assert kept_files(model_page) == []


def test_a_name_is_text_and_never_a_path(model_page: Served, goldfinch: bytes) -> None:
    names = [SCRIPT, "../../../../tmp/escaped.jpg", "/etc/passwd"]

    results = classify(model_page, *((name, goldfinch) for name in names)).json()["results"]
    shown = model_page.post("/try", files=[("files", (name, goldfinch)) for name in names]).text

    assert [len(result["labels"]) for result in results] == [3, 3, 3]
    assert not os.path.exists("/tmp/escaped.jpg")  # noqa: S108 - where the name leads
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert" in shown


def test_the_limits_in_the_documentation_are_the_programs() -> None:
    documented = (ROOT / "docs" / "web.md").read_text()

    assert f"| pictures of a request | {MOST_FILES} |" in documented
    assert f"| time for a picture to be labelled | {warm_model.PICTURE_S:.0f} s |" in documented
    assert f"| requests with pictures at a time | {warm_model.MOST_REQUESTS}; " in documented


def label_unless_planted(path: str, ready: ReadyModel, settings: Settings, *, with_preview: bool) -> Labelled:
    """Label a file as the page does, but for what ends the process or hangs."""
    with open(path, "rb") as file:
        data = file.read(10)
    if data == FATAL:
        os.kill(os.getpid(), signal.SIGSEGV)
    if data == ENDLESS:
        time.sleep(60)
    return label_file(path, ready, settings, with_preview=with_preview)


def test_a_decoder_that_crashes_or_hangs_costs_one_file(
    model_page: Served, goldfinch: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.warm_model.label_file", label_unless_planted)
    monkeypatch.setattr("web.warm_model.PICTURE_S", 8.0)  # another process loads the model in it

    answer = classify(model_page, ("1", FATAL), ("2", goldfinch), ("3", ENDLESS), ("4", goldfinch))

    results = answer.json()["results"]
    assert [result["error_kind"] for result in results] == ["poison", None, "timeout", None]
    assert results[3]["labels"][0]["label"] == "goldfinch"
    assert kept_files(model_page) == []


def test_beyond_a_number_of_requests_others_are_told_to_try_again(
    model_page: Served, goldfinch: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.warm_model.MOST_REQUESTS", 1)
    with connected(model_page) as slow:
        slow.sendall(
            b"POST /api/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\na"
        )
        wait_until(lambda: model_page.state.model._requests == 1 or None)
        refused = classify(model_page, ("a.jpg", goldfinch))
    wait_until(lambda: model_page.state.model._requests == 0 or None)  # the slow one went away, and left its turn

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert classify(model_page, ("a.jpg", goldfinch)).status_code == 200
    assert kept_files(model_page) == []
