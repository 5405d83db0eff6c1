"""Thumbnails, by way of a real server: all of each picture that was labelled, and never another one."""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.unit.pictures.pictures import BEST, encoded
from tests.unit.storage.nights import MODEL
from tests.unit.web.archives import content_of, image_ids, label_files, list_files
from web.thumbnails.address import thumbnail_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx2

    from tests.unit.web.serving import Served

WHY = "Nightlabel-No-Thumbnail"
SIDEWAYS = {"JPEG": 6, "PNG": 6, "WEBP": 6, "TIFF": 6}


def drawing(width: int = 900, height: int = 600) -> Image.Image:
    """Red at the left end, blue at the right one, a grey ramp between: what a crop or a turn would change."""
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    picture.paste((220, 0, 0), (0, 0, 60, height))
    picture.paste((0, 0, 220), (width - 60, 0, width, height))
    return picture


class Gallery:
    """A served page over an archive of pictures, which a test may change."""

    def __init__(self, served: Served, root: Path, url: str) -> None:
        self.served = served
        self.root = root
        self.url = url
        self._added = 0

    def get(self, name: str, query: str = "", **given: str) -> httpx2.Response:
        return self.served.get(f"/thumbnails/{self.id_of(name)}{query}", headers=given)

    def id_of(self, name: str) -> int:
        return image_ids(self.url)[str(self.root / name)]

    def add(self, name: str, *, has_content: bool = True) -> Path:
        """Put a picture there that is like no other one, and label it: the same bytes would be kept already."""
        self._added += 1
        path = self.root / name
        path.write_bytes(encoded(drawing(900, 600 + self._added), "PNG"))
        label_files(self.url, self.root, [path], has_content=has_content)
        return path


@pytest.fixture(scope="module")
def gallery(serve: Callable[..., Served], tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    folder = tmp_path_factory.mktemp("gallery")
    (root := folder / "archive").mkdir()
    for file_format in BEST:
        picture = drawing() if file_format not in SIDEWAYS else drawing().transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = SIDEWAYS.get(file_format, 1)
        options = BEST[file_format] | ({"exif": exif.tobytes()} if file_format in SIDEWAYS else {})
        (root / f"{file_format}.img").write_bytes(encoded(picture, file_format, **options))
    url = str(folder / "night.db")
    label_files(url, root, root.iterdir())
    return Gallery(serve(database_url=url), root, url)


@pytest.mark.parametrize(("size", "pixels"), [("small", (320, 213)), ("large", (900, 600))])
@pytest.mark.parametrize("file_format", BEST)
def test_all_of_a_picture_of_any_format_is_shown_upright_as_a_small_jpeg(
    file_format: str, size: str, pixels: tuple[int, int], gallery: Gallery
) -> None:
    answer = gallery.get(f"{file_format}.img", f"?size={size}")
    picture = Image.open(io.BytesIO(answer.content))
    assert (answer.headers["Content-Type"], picture.format, picture.size) == ("image/jpeg", "JPEG", pixels)
    assert not picture.getexif()
    wanted = np.asarray(drawing().resize(pixels, Image.Resampling.BICUBIC), np.float64)
    assert np.abs(np.asarray(picture.convert("RGB"), np.float64) - wanted).mean() < 4


def test_transparent_parts_are_white(gallery: Gallery) -> None:
    (gallery.root / "ghost.png").write_bytes(encoded(Image.new("RGBA", (400, 400), (0, 0, 0, 0)), "PNG"))
    label_files(gallery.url, gallery.root, [gallery.root / "ghost.png"])
    assert np.asarray(Image.open(io.BytesIO(gallery.get("ghost.png").content))).min() > 250


def test_a_file_with_other_bytes_is_not_shown_beside_the_labels_of_the_old_ones(gallery: Gallery) -> None:
    """Not even if it has the same size and time."""
    path = gallery.root / "changed.bmp"
    path.write_bytes(encoded(drawing(800, 500), "BMP"))
    label_files(gallery.url, gallery.root, [path])
    status = path.stat()
    path.write_bytes(encoded(drawing(800, 500).transpose(Image.Transpose.FLIP_TOP_BOTTOM), "BMP"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    answer = gallery.get("changed.bmp")
    assert (answer.headers[WHY], answer.headers["Content-Type"]) == ("changed", "image/svg+xml")
    assert "Changed since it was labelled" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_picture_that_is_labelled_anew_is_not_shown_beside_its_older_labels(gallery: Gallery) -> None:
    """Each model's outcome has the picture that it saw: the address of a tile tells which one is meant."""
    first, second = (encoded(drawing(width, 300), "PNG") for width in (300, 600))
    path = gallery.root / "twice.png"
    path.write_bytes(first)
    label_files(gallery.url, gallery.root, [path])
    path.write_bytes(second)
    label_files(gallery.url, gallery.root, [path], model=replace(MODEL, architecture="mobilenet_v2"))
    image_id = gallery.id_of("twice.png")
    answers = [gallery.served.get(thumbnail_url(image_id, content_of(data))) for data in (first, second)]
    assert answers[0].headers[WHY] == "changed"
    assert Image.open(io.BytesIO(answers[1].content)).size == (320, 160)
    assert gallery.served.get(thumbnail_url(image_id, content_of(b"neither"))).headers[WHY] == "changed"


def test_what_was_labelled_before_contents_were_noted_is_told_by_size_and_time(gallery: Gallery) -> None:
    path = gallery.add("old.png", has_content=False)
    assert gallery.get("old.png").headers["Content-Type"] == "image/jpeg"
    os.utime(path, (0, 0))
    assert gallery.get("old.png").headers[WHY] == "changed"


def test_a_picture_that_is_kept_outlives_its_file(gallery: Gallery) -> None:
    """It is the one that was labelled, whatever became of the file."""
    path = gallery.add("deleted.png")
    shown = gallery.get("deleted.png").content
    path.unlink()
    assert gallery.get("deleted.png").content == shown
    assert gallery.get("deleted.png", "?size=large").headers[WHY] == "vanished"


def swap_for_a_link_out(path: Path) -> None:
    shutil.copy(path, path.parents[1] / "outside.png")
    path.unlink()
    path.symlink_to(path.parents[1] / "outside.png")


def swap_for_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("swap", "why"), [(swap_for_a_link_out, "outside"), (swap_for_a_fifo, "not_a_file"), (cut_short, "changed")]
)
def test_what_took_a_files_place_is_not_opened_or_not_shown(
    swap: Callable[[Path], None], why: str, gallery: Gallery
) -> None:
    """The link leads to the very bytes that were labelled, and still leads out."""
    swap(gallery.add(f"{swap.__name__}.png"))
    assert gallery.get(f"{swap.__name__}.png").headers[WHY] == why


def test_an_archive_that_is_not_there_is_said(serve: Callable[..., Served], gallery: Gallery, tmp_path: Path) -> None:
    (root := tmp_path / "stick").mkdir()
    path = root / "a.png"
    path.write_bytes(encoded(drawing(), "PNG"))
    url = str(tmp_path / "stick.db")
    label_files(url, root, [path])
    shutil.move(root, tmp_path / "pulled")
    answer = Gallery(serve(database_url=url), root, url).get("a.png", **{"Accept-Language": "en"})
    assert (answer.headers[WHY], "Its folder or disk" in answer.text) == ("archive_gone", True)


def test_a_picture_that_waits_or_that_nobody_could_read_is_shown_if_it_can_be(gallery: Gallery) -> None:
    """There is no label that it could belie."""
    waits, failed = (gallery.root / name for name in ("waits.png", "failed.png"))
    for path in (waits, failed):
        path.write_bytes(encoded(drawing(), "PNG"))
    label_files(gallery.url, gallery.root, [failed], failing=[failed])
    list_files(gallery.url, gallery.root, [waits])
    assert gallery.get("waits.png").headers["Content-Type"] == "image/jpeg"
    assert gallery.get("failed.png").headers["Content-Type"] == "image/jpeg"


def test_a_browser_keeps_what_its_address_names_and_asks_again_for_all_else(gallery: Gallery) -> None:
    path = gallery.add("kept.png")
    named = gallery.served.get(thumbnail_url(gallery.id_of("kept.png"), content_of(path.read_bytes())))
    plain = gallery.get("kept.png")
    assert "immutable" in named.headers["Cache-Control"]
    assert plain.headers["Cache-Control"] == "private, no-cache"
    again = gallery.get("kept.png", **{"If-None-Match": f'"other", W/{plain.headers["ETag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert gallery.get("kept.png", "?size=large", **{"If-None-Match": plain.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("999999", 404),
        (f"{2**63}", 404),
        ("9" * 5000, 404),
        ("-1", 404),
        ("1/../../etc/passwd", 404),
        ("%2e%2e%2fpasswd", 404),
        ("1?size=huge", 400),
        ("1?c=../../x", 400),
        ("1?c=%25", 400),
    ],
)
def test_what_is_no_image_is_refused(address: str, status: int, gallery: Gallery) -> None:
    assert gallery.served.get(f"/thumbnails/{address}").status_code == status
