"""An archive of every bad file that is known, and of pictures damaged at random: each costs itself at most."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import threading
import time
import zlib
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from storage.records import shown
from tests.conftest import missing
from tests.faults.farm import wait_for_end
from tests.unit.broker.queues import raw
from tests.unit.pictures.pictures import BEST, encoded, png, png_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from broker.private_redis import PrivateRedis
    from tests.faults.farm import Farm, Worker

#: A photo that gets another label when it lies on its side.
GOOSE = "n01855672_goose.jpg"
#: A side of 400 megapixels in black and white: four times what is allowed, in a file of 50 kB.
BOMB_SIDE = 20_000
#: 255 bytes: file systems take no longer name, so one of 300 characters cannot exist.
LONGEST_NAME = "x" * 251 + ".jpg"
NOT_UTF_8 = os.fsdecode(b"gr\xfc\xdfe.jpg")
ORIENTATION = 0x0112
TO_BE_TURNED_CLOCKWISE = 6
GREY, RGB = 0, 2


def _deep(values: NDArray[np.uint8], colour_type: int) -> bytes:
    """Return a PNG of the same picture in 16 bits a channel; clipped instead of scaled, it would be white."""
    return png(values.astype(np.uint16) * 257, colour_type)


def _turned(picture: Image.Image) -> bytes:
    """Return a JPEG that lies on its side, and says so in its EXIF."""
    exif = Image.Exif()
    exif[ORIENTATION] = TO_BE_TURNED_CLOCKWISE
    return encoded(picture.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


def _bomb() -> bytes:
    header = BOMB_SIDE.to_bytes(4, "big") * 2 + bytes([1, GREY, 0, 0, 0])
    return png_of(header, zlib.compress(bytes(BOMB_SIDE * (1 + BOMB_SIDE // 8))))


def _files_with_the_goose(data: bytes, picture: Image.Image) -> dict[str, bytes]:
    """Return files, some odd, that must all get the same label."""
    other = Image.new("RGB", picture.size, "navy")
    return {
        "plain.jpg": data,
        "png.jpg": encoded(picture, "PNG"),
        "jpeg.png": data,
        "animated.gif": encoded(picture, "GIF", save_all=True, append_images=[other, other]),
        "cmyk.jpg": encoded(picture.convert("CMYK"), "JPEG", quality=95),
        "deep.png": _deep(np.asarray(picture), RGB),
        "palette-with-alpha.png": encoded(picture.quantize(200), "PNG", transparency=bytes([255] * 199 + [0])),
        "turned.jpg": _turned(picture),
        "photo.heic": encoded(picture, "HEIF", quality=95),
        "photo.avif": encoded(picture, "AVIF", quality=95),
        "folder.jpg/inside.jpg": data,
        NOT_UTF_8: data,
        LONGEST_NAME: data,
    }


def _other_files(data: bytes, picture: Image.Image) -> dict[str, tuple[bytes, str]]:
    """Return contents and stated outcomes by name."""
    grey = np.asarray(picture.convert("L"))
    return {
        "empty.jpg": (b"", "not_an_image"),
        "text.jpg": (b"Dear Ada", "not_an_image"),
        "truncated.jpg": (data[: len(data) // 2], "truncated"),
        "bomb.png": (_bomb(), "too_large"),
        "grey.png": (encoded(Image.fromarray(grey), "PNG"), "ok"),
        "deep-grey.png": (_deep(grey, GREY), "ok"),
        "on-its-side.png": (encoded(picture.transpose(Image.Transpose.ROTATE_90), "PNG"), "ok"),
        "missing.jpg": (data, "vanished"),
        "forbidden.jpg": (data, "unreadable"),
        "becomes-a-folder.jpg": (data, "not_a_file"),
        "becomes-a-link-out.jpg": (data, "outside"),
        "becomes-a-loop.jpg": (data, "unreadable"),
        "becomes-two-dots.jpg": (data, "outside"),
    }


def _put_what_is_left_out(folder: Path, outside: Path) -> None:
    (folder / "link-out.jpg").symlink_to(outside)
    (folder / "link-out-by-dots.jpg").symlink_to(f"../{outside.name}")
    (folder / "loop-1.jpg").symlink_to("loop-2.jpg")
    (folder / "loop-2.jpg").symlink_to("loop-1.jpg")
    (folder / "loop-of-folders.jpg").symlink_to(folder)
    (folder / ".hidden.jpg").write_bytes(outside.read_bytes())
    (folder / "letter.txt").write_text("Dear Ada")


def _change_after_the_scan(folder: Path, outside: Path, database: Path) -> None:
    for path in [folder / "missing.jpg", *folder.glob("becomes-*")]:
        path.unlink()
    (folder / "becomes-a-folder.jpg").mkdir()
    (folder / "becomes-a-link-out.jpg").symlink_to(outside)
    (folder / "becomes-a-loop.jpg").symlink_to("becomes-a-loop.jpg")
    with closing(sqlite3.connect(database)) as connection, connection:  # no scan finds such a path
        forged = f"{folder}/../{outside.name}"
        connection.execute("update images set path = ? where path like '%becomes-two-dots.jpg'", [forged])


def test_every_bad_file_gets_its_stated_outcome(farm: Farm, redis: PrivateRedis, tmp_path: Path, photos: Path) -> None:
    """`docs/formats.md` states them; and a picture in an odd form gets the label of its plain twin."""
    folder, outside = tmp_path / "archive", tmp_path / "not-yours.jpg"
    folder.mkdir()
    shutil.copyfile(photos / GOOSE, outside)
    data, picture = outside.read_bytes(), Image.open(outside)
    same, others = _files_with_the_goose(data, picture), _other_files(data, picture)
    for name, content in (same | {name: content for name, (content, _) in others.items()}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "link-in.jpg").symlink_to("plain.jpg")
    (folder / "forbidden.jpg").chmod(0)
    os.mkfifo(folder / "fifo.jpg")
    _put_what_is_left_out(folder, outside)

    farm.enqueue(folder / "folder.jpg" / "..")  # in a path that is given, dots lead where they lead
    _change_after_the_scan(folder, outside, tmp_path / "night.db")
    with raw(redis) as client:
        client.delete(farm.key())  # so that the forged path is published too
    worker = farm.start_worker(HEED_PERMISSIONS="1")
    follower = farm.follow(folder)
    wait_for_end(follower)

    of_the_goose = {Path(shown(name)).name for name in [*same, "link-in.jpg"]}
    expected = dict.fromkeys(of_the_goose, "ok") | {name: kind for name, (_, kind) in others.items()}
    expected |= {"fifo.jpg": "not_a_file", outside.name: expected.pop("becomes-two-dots.jpg")}
    assert farm.kinds() == expected
    farm.assert_whole(len(expected))
    label = {Path(path).name: label for path, label in farm.ask("select path, label_1 from results")}
    assert {name: label[name] for name in of_the_goose} == dict.fromkeys(of_the_goose, "goose")
    assert label["deep-grey.png"] == label["grey.png"]
    assert label["on-its-side.png"] != "goose"
    assert worker.process.poll() is None
    assert farm.extra_starts() == 0


@contextmanager
def _failing_disk(path: Path) -> Iterator[None]:
    """Let reading a file end with EIO, as a disk does: so does the memory of a process, at an address without any."""
    mounting = ["mount", "--bind", f"/proc/{os.getpid()}/mem", str(path)]
    if os.geteuid() != 0 or subprocess.run(mounting, check=False, stderr=subprocess.DEVNULL).returncode:
        missing("only root can mount a file that cannot be read")
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_file_that_its_disk_fails_to_read_is_unreadable_and_tried_again_by_the_next_run(
    farm: Farm, archive: Callable[[int], Path]
) -> None:
    folder = archive(20)
    with _failing_disk(folder / "000" / "00007.jpg"):
        run = farm.nightlabel("run", folder)

        assert run.returncode == 0, run.stderr
        farm.assert_whole(20)
        assert farm.count("outcomes where status = 'ok'") == 19
        assert farm.kinds()["00007.jpg"] == "unreadable"
        assert farm.errors() == ["Input/output error"]

    again = farm.nightlabel("run", folder)

    assert again.returncode == 0, again.stderr
    assert set(farm.kinds().values()) == {"ok"}


#: Of a file: half of the changes begin here, where a format says of what size and kind everything else is.
HEADER_BYTES = 256
MOST_CHANGES = 3
MOST_BYTES = 64


def _seeds(photos: Path) -> list[tuple[str, bytes]]:
    """Return suffixes and files: real photos, and small ones in every format and in the odd forms of some."""
    files = sorted(photos.glob("*.jpg"))[:32]
    seeds = [("jpg", file.read_bytes()) for file in files]
    for file in files[:3]:
        picture = Image.open(file).convert("RGB")
        picture.thumbnail((240, 240))
        seeds += [(name.lower(), encoded(picture, name, **options)) for name, options in BEST.items()]
        seeds += [(name.lower(), encoded(picture, name, **options)) for name, options in _odd_forms(picture)]
        seeds += [("png", _deep(np.asarray(picture), RGB)), ("jpg", encoded(picture.convert("CMYK"), "JPEG"))]
        seeds += [("png", encoded(picture.quantize(64), "PNG", transparency=7)), ("jpg", _turned(picture))]
    return seeds


def _odd_forms(picture: Image.Image) -> list[tuple[str, dict[str, Any]]]:
    frames = {"save_all": True, "append_images": [picture.rotate(90), picture.rotate(180)]}
    return [
        *((name, frames) for name in ("GIF", "WEBP", "PNG", "AVIF", "MPO")),
        ("JPEG", {"progressive": True}),
        *(("TIFF", {"compression": compression}) for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")),
    ]


def _mutated(original: bytes, draw: random.Random) -> bytes:
    """Return a file with random bytes flipped, cut out, repeated or cut off."""
    data = bytearray(original)
    for _ in range(draw.randint(1, MOST_CHANGES)):
        end = min(len(data), draw.choice((HEADER_BYTES, len(data))))
        start = draw.randrange(end or 1)
        part = slice(start, start + draw.randint(1, MOST_BYTES))
        change = draw.choices(("flip", "remove", "repeat", "cut off"), (6, 2, 2, 1))[0]
        if change == "flip":
            for place in range(len(data))[part][:: draw.randint(1, MOST_BYTES)]:
                data[place] ^= draw.randint(1, 255)
        elif change == "remove":
            del data[part]
        elif change == "repeat":
            data[start:start] = data[part] * draw.randint(1, 20)
        else:
            del data[draw.randrange(len(data) or 1) :]
    return bytes(data)


@contextmanager
def _log_read(worker: Worker) -> Iterator[None]:
    """Read a worker's log, since one that nobody reads stops who writes it; end the worker at the close."""
    reading = threading.Thread(target=worker.process.communicate)
    reading.start()
    try:
        yield
    finally:
        worker.process.kill()
        reading.join()


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_mutated_pictures_end_no_worker_and_each_has_an_outcome(
    farm: Farm, photos: Path, tmp_path: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever happened to a file, it is labelled or fails for what it is: no crash, no hang, no start more."""
    draw = random.Random(count)  # noqa: S311 - a storm, not a secret
    seeds = _seeds(photos)
    for number in range(count):
        suffix, data = draw.choice(seeds)
        path = tmp_path / "archive" / f"{number // 1000:03}" / f"{number:05}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_mutated(data, draw))
    worker = farm.start_worker(2)
    worker.wait_until_ready()
    children = {child.pid for child in worker.children()}
    begun_at = time.monotonic()
    with _log_read(worker):
        follower = farm.follow(tmp_path / "archive", NIGHTLABEL_MAX_FAILURE_SHARE="1")
        _, errors = follower.communicate(timeout=1700)
        took_s = time.monotonic() - begun_at
        kinds = Counter(farm.kinds().values())
        with capsys.disabled():
            print(f"\n{count} mutated pictures in {took_s:.0f} s, {farm.extra_starts()} extra starts: {dict(kinds)}")

        assert follower.returncode == 0, errors
        assert len(children) == 2
        assert {child.pid for child in worker.children()} == children
        farm.assert_whole(count)
    assert farm.extra_starts() == 0
    assert set(kinds) <= {"ok", "not_an_image", "truncated", "damaged", "too_large"}
