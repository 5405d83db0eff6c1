"""Thumbnails on disk: what comes out is what was put in under that name, whatever happened to the folder."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from web.thumbnails.cache import ThumbnailCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROOMY = 100_000_000
JPEG = b"\xff\xd8 a picture \xff\xd9" * 100


def content(number: int, shelf: str = "a") -> str:
    """Return contents that lie on one shelf."""
    return shelf + hashlib.blake2b(bytes([number % 256, number // 256]), digest_size=16).hexdigest()[1:]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache/thumbnails"


@pytest.fixture
def cache(folder: Path) -> ThumbnailCache:
    return ThumbnailCache(folder, ROOMY)


def only_file(folder: Path) -> Path:
    (file,) = (path for path in folder.rglob("*") if not path.is_dir())
    return file


def test_what_is_put_there_is_there_for_every_server(cache: ThumbnailCache, folder: Path) -> None:
    cache.put(content(1), "small", JPEG)
    assert ThumbnailCache(folder, ROOMY).get(content(1), "small") == JPEG
    assert cache.get(content(1), "large") is None
    assert cache.get(content(2), "small") is None


def test_nobody_else_may_enter_the_folder(cache: ThumbnailCache, folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o755)
    cache.put(content(1), "small", JPEG)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "a")} == {0o700}


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def turn_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[500] ^= 1
    file.write_bytes(data)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def replace_by_a_jpeg(file: Path) -> None:
    file.write_bytes(JPEG)


def replace_by_another_image(file: Path) -> None:
    other = ThumbnailCache(file.parents[1], ROOMY)
    other.put(content(2), "small", b"another picture")
    next(path for path in file.parent.iterdir() if path != file).rename(file)


def replace_by_a_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def replace_by_a_link(file: Path) -> None:
    file.rename(file.parents[2] / "elsewhere")
    file.symlink_to(file.parents[2] / "elsewhere")


def replace_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    "harm",
    [
        *(cut_off, turn_a_bit, empty, replace_by_a_jpeg, replace_by_another_image),
        *(replace_by_a_fifo, replace_by_a_link, replace_by_a_folder),
    ],
)
def test_what_is_not_what_was_put_there_is_not_given_out(
    harm: Callable[[Path], None], cache: ThumbnailCache, folder: Path
) -> None:
    cache.put(content(1), "small", JPEG)
    harm(only_file(folder))
    assert cache.get(content(1), "small") is None


@pytest.mark.parametrize("link", ["thumbnails", "thumbnails/a"])
def test_a_folder_that_is_a_link_is_not_used(link: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = tmp_path / "elsewhere"
    ThumbnailCache(elsewhere, ROOMY).put(content(1), "small", JPEG)
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(elsewhere if link == "thumbnails" else elsewhere / "a")
    cache = ThumbnailCache(tmp_path / "thumbnails", ROOMY)
    cache.put(content(2), "small", JPEG)
    assert cache.get(content(1), "small") is None
    assert [path.name for path in elsewhere.rglob("*-small-*")] == [f"{content(1)}-small-1"]
    assert "no folder of this user's own" in caplog.text


@pytest.mark.parametrize("wrong", ["../../etc/passwd", "a" * 31, "A" * 32, "a" * 33, "", "a/" * 16])
def test_what_is_no_content_names_no_file(wrong: str, cache: ThumbnailCache, folder: Path) -> None:
    cache.put(wrong, "small", JPEG)
    assert cache.get(wrong, "small") is None
    assert not folder.exists()


def test_the_least_used_make_room(folder: Path) -> None:
    """A shelf has a sixteenth, here that of ten and a half; one that is read counts as used."""
    cache = ThumbnailCache(folder, 16 * 10_500)
    for number in range(10):
        cache.put(content(number), "small", bytes(984))  # 16 for the hash
        os.utime(folder / "a" / f"{content(number)}-small-1", (0, 100_000 + number))
    assert cache.get(content(0), "small")

    cache.put(content(10), "small", bytes(984))

    kept = {number for number in range(11) if cache.get(content(number), "small")}
    assert kept == {0, *range(3, 11)}


def test_the_folder_stays_within_its_limit_while_several_servers_write(folder: Path) -> None:
    caches = [ThumbnailCache(folder, 1_000_000) for _ in range(3)]

    def fill(cache: ThumbnailCache) -> None:
        for number in range(300):
            cache.put(content(number), "small", bytes(2000))
            kept = cache.get(content(number), "small")
            assert kept in (None, bytes(2000))

    with ThreadPoolExecutor() as threads:
        list(threads.map(fill, caches))
    sizes = [path.stat().st_size for path in folder.rglob("*-small-*")]
    # Each may write a tenth of its shelf before it looks what others wrote there.
    assert 0.5 * 62_500 < sum(sizes) < 1.4 * 62_500
    assert not list(folder.rglob(".*"))


def test_what_others_put_there_stays_and_what_killed_servers_left_goes(folder: Path) -> None:
    cache = ThumbnailCache(folder, 16 * 5000)
    (folder / "a").mkdir(parents=True)
    (folder / "a/holiday.jpg").write_bytes(bytes(10_000))
    left = folder / "a" / f".{content(99)}-small-1.99999"
    left.write_bytes(bytes(1000))
    for file in (folder / "a").iterdir():
        os.utime(file, (0, 0))
    for number in range(10):
        cache.put(content(number), "small", bytes(984))
    assert (folder / "a/holiday.jpg").stat().st_size == 10_000
    assert not left.exists()
    assert cache.get(content(9), "small")


def test_what_is_larger_than_its_share_is_not_kept(folder: Path) -> None:
    cache = ThumbnailCache(folder, 16 * 1000)
    cache.put(content(1), "large", bytes(1001))
    assert not folder.exists()


def test_without_megabytes_nothing_is_kept_or_read(cache: ThumbnailCache, folder: Path) -> None:
    cache.put(content(1), "small", JPEG)
    assert ThumbnailCache(folder, 0).get(content(1), "small") is None


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("a file where the cache should be")
    cache = ThumbnailCache(tmp_path / "file/thumbnails", ROOMY)
    for number in range(3):
        cache.put(content(number), "small", JPEG)
        assert cache.get(content(number), "small") is None
    assert caplog.text.count("thumbnails are not kept") == 1
