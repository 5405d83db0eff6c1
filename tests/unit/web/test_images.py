"""Originals, by way of a real server: the file that was labelled, by its id alone, and as a picture alone."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import pytest
from PIL import Image

from tests.browser import chromium, log
from tests.unit.pictures.pictures import BEST, encoded
from tests.unit.web.archives import image_ids, label_files
from web.originals import _MOST
from web.views.images import content_disposition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx2

    from tests.unit.web.serving import Served

TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}
PICTURE = Image.new("RGB", (64, 48), (0, 120, 0))
PAGE = b"<!doctype html><script>document.title = 'run'</script>"


class Originals:
    """A served page over an archive of files, which a test may change."""

    def __init__(self, served: Served, root: Path, url: str) -> None:
        self.served = served
        self.root = root
        self.url = url

    def address(self, name: str) -> str:
        return f"/images/{image_ids(self.url)[str(self.root / name)]}"

    def get(self, name: str, query: str = "", **given: str) -> httpx2.Response:
        return self.served.get(self.address(name) + query, headers=given)

    def add(self, name: str, data: bytes | None = None) -> Path:
        path = self.root / name
        path.write_bytes(encoded(PICTURE, "PNG") if data is None else data)
        label_files(self.url, self.root, [path])
        return path


@pytest.fixture(scope="module")
def originals(serve: Callable[..., Served], tmp_path_factory: pytest.TempPathFactory) -> Originals:
    folder = tmp_path_factory.mktemp("originals")
    (root := folder / "archive").mkdir()
    for file_format in BEST:
        (root / f"{file_format}.img").write_bytes(encoded(PICTURE, file_format))
    url = str(folder / "night.db")
    label_files(url, root, root.iterdir())
    return Originals(serve(database_url=url), root, url)


@pytest.mark.parametrize("file_format", BEST)
def test_a_file_comes_as_it_is_with_the_type_that_its_bytes_have(file_format: str, originals: Originals) -> None:
    answer = originals.get(f"{file_format}.img", **{"Accept-Encoding": "gzip"})
    data = (originals.root / f"{file_format}.img").read_bytes()
    assert answer.content == data
    assert (answer.headers["Content-Type"], answer.headers["Content-Length"]) == (TYPES[file_format], f"{len(data)}")
    assert answer.headers["Content-Disposition"].startswith("inline; ")


def test_a_file_that_is_no_picture_is_only_kept(originals: Originals) -> None:
    """Whatever its name says; and nothing in it runs."""
    originals.add("page.html.jpg", PAGE)
    answer = originals.get("page.html.jpg")
    assert (answer.headers["Content-Type"], answer.headers["X-Content-Type-Options"]) == (
        "application/octet-stream",
        "nosniff",
    )
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"


def test_a_browser_shows_it_and_complains_of_nothing(originals: Originals, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile") as browser:
        browser.get(originals.served.url + originals.address("PNG.img"))
        assert browser.execute_script("return document.images[0].naturalWidth") == 64
        assert not log(browser, "browser")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b"a.jpg", b"a.jpg"),
        (b'"; filename="x.exe', b'"; filename="x.exe.png'),
        (b"a\r\nSet-Cookie: x=1.jpg", b"a\r\nSet-Cookie: x=1.jpg"),
        ("Grüße 猫.jpg".encode(), "Grüße 猫.jpg".encode()),
        (b"b\xe4r.jpg", rb"b\xe4r.jpg"),
        (b"page.html", b"page.html.png"),
        (b"..", b"...png"),
    ],
)
def test_a_name_is_that_of_the_file_and_nothing_else(name: bytes, kept: bytes) -> None:
    header = content_disposition(os.fsdecode(b"/a/" + name), "image/png", is_shown=False)
    plain, _, encoded_name = header.removeprefix('attachment; filename="').partition("\"; filename*=UTF-8''")
    assert header.isascii()
    assert header.isprintable()
    assert '"' not in plain
    assert unquote_to_bytes(encoded_name) == kept


def test_a_file_with_an_odd_name_arrives(originals: Originals) -> None:
    name = os.fsdecode(b'\xff"\r\n.jpg')
    originals.add(name)
    assert originals.get(name).status_code == 200


def test_it_can_be_kept_instead_of_shown(originals: Originals) -> None:
    assert originals.get("PNG.img", "?download=1").headers["Content-Disposition"] == (
        "attachment; filename=\"PNG.img.png\"; filename*=UTF-8''PNG.img.png"
    )


def test_a_browser_asks_whether_what_it_has_is_still_right(originals: Originals) -> None:
    first = originals.get("PNG.img")
    again = originals.get("PNG.img", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = originals.served.client.head(originals.address("PNG.img"))
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, f"{len(first.content)}", b"")


def test_other_bytes_than_those_labelled_are_shown_to_who_asks_for_them(originals: Originals) -> None:
    path = originals.add("changed.png")
    changed = encoded(PICTURE.transpose(Image.Transpose.ROTATE_90), "PNG")
    path.write_bytes(changed)
    refused = originals.get("changed.png", **{"Accept-Language": "en"})
    assert (refused.status_code, "Changed since it was labelled" in refused.text) == (409, True)
    assert f'href="{originals.address("changed.png")}?changed=ok"' in refused.text
    assert originals.get("changed.png", "?changed=ok").content == changed


def test_what_lies_outside_of_the_archive_is_not_given_out(originals: Originals) -> None:
    """Though the link leads to the very bytes that were labelled."""
    path = originals.add("linked.png")
    outside = originals.root.parent / "outside.png"
    shutil.move(path, outside)
    path.symlink_to(outside)
    answer = originals.get("linked.png")
    assert (answer.status_code, "a link that leads out of the archive" in answer.text) == (403, True)


def test_a_file_that_is_gone_is_said(originals: Originals) -> None:
    originals.add("gone.png").unlink()
    assert originals.get("gone.png").status_code == 410
    assert originals.served.get("/images/999999").status_code == 404


def test_a_folder_in_the_address_names_nothing(originals: Originals) -> None:
    for address in ("1/x", "..%2f1", "%2fetc%2fpasswd", "1%00", "x", "-1"):
        assert originals.served.get(f"/images/{address}").status_code == 404


def test_whoever_is_served_leaves_room_for_others(originals: Originals) -> None:
    """Only so many files are held at a time: none that was sent, refused or given up is held any longer."""
    for _ in range(_MOST + 1):
        originals.get("PNG.img", "?changed=ok")
        originals.get("PNG.img", **{"If-None-Match": originals.get("PNG.img").headers["ETag"]})
        with originals.served.client.stream("GET", originals.address("BMP.img")):
            pass
        assert originals.served.get("/images/999999").status_code == 404
    assert originals.get("PNG.img").status_code == 200
