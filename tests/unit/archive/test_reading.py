"""Reading: regular files of the archive, and nothing that merely looks like one."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archive.failures import FailureKind, ImageError
from archive.reading import read_image

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1000
CONTENT = b"any bytes: reading does not look into them"
#: `nobody`, on Linux and in containers.
NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An archive with one file, `photo.jpg`."""
    folder = tmp_path.resolve() / "archive"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(CONTENT)
    return folder


def failure(path: Path | str, *roots: Path, max_bytes: int = MAX_BYTES) -> FailureKind:
    """Read what must not be readable; return why it is not."""
    with pytest.raises(ImageError) as caught:
        read_image(str(path), [str(root) for root in roots], max_bytes)
    return caught.value.kind


def content(path: Path | str, *roots: Path) -> bytes:
    return read_image(str(path), [str(root) for root in roots], MAX_BYTES).data


def test_a_file_of_the_archive_is_read(root: Path) -> None:
    assert content(root / "photo.jpg", root) == CONTENT


def test_a_time_that_no_column_holds_is_the_one_that_the_scan_gives(root: Path) -> None:
    os.utime(root / "photo.jpg", ns=(0, 13_000_000_000 * 10**9))  # the year 2381: ext4 knows it
    assert read_image(str(root / "photo.jpg"), [str(root)], MAX_BYTES).mtime_ns == 2**63 - 1


def test_the_version_of_a_file_is_its_size_and_mtime(root: Path) -> None:
    os.utime(root / "photo.jpg", ns=(1, 1_700_000_000_123_456_789))

    file = read_image(str(root / "photo.jpg"), [str(root)], MAX_BYTES)

    assert (file.size, file.mtime_ns) == (len(CONTENT), 1_700_000_000_123_456_789)


def test_a_file_of_any_of_several_roots_is_read(root: Path, tmp_path: Path) -> None:
    assert content(root / "photo.jpg", tmp_path / "elsewhere", root) == CONTENT


def test_a_root_that_is_a_file_is_read(root: Path) -> None:
    assert content(root / "photo.jpg", root / "photo.jpg") == CONTENT


def test_everything_is_in_the_archive_that_is_the_whole_disk(root: Path) -> None:
    assert content(root / "photo.jpg", Path("/")) == CONTENT


def test_a_file_that_is_gone_has_vanished(root: Path) -> None:
    assert failure(root / "none.jpg", root) is FailureKind.VANISHED


def test_a_file_whose_folder_became_a_file_has_vanished(root: Path) -> None:
    assert failure(root / "photo.jpg" / "photo.jpg", root) is FailureKind.VANISHED


def test_a_link_to_nothing_has_vanished(root: Path) -> None:
    (root / "link.jpg").symlink_to(root / "none.jpg")

    assert failure(root / "link.jpg", root) is FailureKind.VANISHED


def test_a_folder_with_the_name_of_an_image_is_not_a_file(root: Path) -> None:
    (root / "folder.jpg").mkdir()

    assert failure(root / "folder.jpg", root) is FailureKind.NOT_A_FILE


@pytest.mark.timeout(120)
def test_a_fifo_that_nobody_writes_to_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "fifo.jpg")

    assert failure(root / "fifo.jpg", root) is FailureKind.NOT_A_FILE


def test_a_device_is_not_a_file() -> None:
    assert failure("/dev/null", Path("/dev")) is FailureKind.NOT_A_FILE


def test_a_socket_is_not_a_file(short_folder: Path) -> None:
    path = short_folder / "socket.jpg"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))

        assert failure(path, short_folder) is FailureKind.NOT_A_FILE


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a while: to root no file is forbidden."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_without_permission_is_unreadable(short_folder: Path) -> None:
    path = short_folder / "forbidden.jpg"
    path.write_bytes(CONTENT)
    path.chmod(0)

    with unprivileged():
        kind = failure(path, short_folder)

    assert kind is FailureKind.UNREADABLE


def test_a_file_in_a_folder_without_permission_is_unreadable(short_folder: Path) -> None:
    folder = short_folder / "forbidden"
    folder.mkdir(mode=0o700)
    (folder / "photo.jpg").write_bytes(CONTENT)
    folder.chmod(0)

    with unprivileged():
        kind = failure(folder / "photo.jpg", short_folder)
    folder.chmod(0o700)

    assert kind is FailureKind.UNREADABLE


def test_a_loop_of_links_is_unreadable(root: Path) -> None:
    (root / "a.jpg").symlink_to(root / "b.jpg")
    (root / "b.jpg").symlink_to(root / "a.jpg")

    assert failure(root / "a.jpg", root) is FailureKind.UNREADABLE


def test_a_name_that_is_too_long_for_the_disk_is_unreadable(root: Path) -> None:
    assert failure(root / ("x" * 300), root) is FailureKind.UNREADABLE


def test_a_file_of_one_byte_too_many_is_too_large(root: Path) -> None:
    assert failure(root / "photo.jpg", root, max_bytes=len(CONTENT) - 1) is FailureKind.TOO_LARGE


def test_a_file_as_large_as_the_limit_is_read(root: Path) -> None:
    assert read_image(str(root / "photo.jpg"), [str(root)], len(CONTENT)).data == CONTENT


def test_a_link_inside_the_archive_is_followed(root: Path) -> None:
    (root / "link.jpg").symlink_to("photo.jpg")

    assert content(root / "link.jpg", root) == CONTENT


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file beside the archive, in a folder whose name begins like the archive's."""
    folder = tmp_path.resolve() / "archive-of-someone-else"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(b"a secret")
    return folder / "photo.jpg"


def test_a_link_out_of_the_archive_is_outside(root: Path, outside: Path) -> None:
    (root / "link.jpg").symlink_to(outside)

    assert failure(root / "link.jpg", root) is FailureKind.OUTSIDE


def test_two_dots_out_of_the_archive_are_outside(root: Path, outside: Path) -> None:
    assert failure(f"{root}/../{outside.parent.name}/photo.jpg", root) is FailureKind.OUTSIDE


def test_two_dots_that_stay_in_the_archive_are_read(root: Path) -> None:
    assert content(f"{root}/../{root.name}/photo.jpg", root) == CONTENT


def test_a_folder_that_was_swapped_for_a_link_out_is_outside(root: Path, outside: Path) -> None:
    """Between the scan and the reading: the path is as it was, and yet leads elsewhere."""
    folder = root / "2024"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(CONTENT)
    folder.rename(root / "2024 (moved)")
    folder.symlink_to(outside.parent)

    assert failure(folder / "photo.jpg", root) is FailureKind.OUTSIDE


def test_a_file_beside_a_root_that_is_a_file_is_outside(root: Path) -> None:
    (root / "photo.jpg.jpg").write_bytes(CONTENT)

    assert failure(root / "photo.jpg.jpg", root / "photo.jpg") is FailureKind.OUTSIDE


def test_a_device_that_a_link_names_is_not_a_file(root: Path) -> None:
    """`/dev/zero` never ends: it is refused for what it is, before anything is read."""
    (root / "link.jpg").symlink_to("/dev/zero")

    assert failure(root / "link.jpg", root) is FailureKind.NOT_A_FILE


@pytest.mark.parametrize(
    "name",
    [b"\xff\xfe\x80.jpg", b"line\nbreak.jpg", b" leading and trailing ", "Ä–日本語.jpg".encode(), b"x" * 255],
    ids=["not UTF-8", "with a line break", "with spaces", "in many scripts", "of 255 bytes"],
)
def test_a_file_with_an_unusual_name_is_read(name: bytes, root: Path) -> None:
    path = os.fsencode(root) + b"/" + name
    Path(os.fsdecode(path)).write_bytes(CONTENT)

    assert content(os.fsdecode(path), root) == CONTENT


def test_an_empty_file_is_read(root: Path) -> None:
    """That nothing is in it, is for the decoder to say."""
    (root / "empty.jpg").touch()

    assert content(root / "empty.jpg", root) == b""


def test_the_content_of_a_file_is_what_b2sum_prints(root: Path) -> None:
    printed = subprocess.run(
        ["b2sum", "-l", "128", str(root / "photo.jpg")], capture_output=True, text=True, check=True
    ).stdout

    assert read_image(str(root / "photo.jpg"), [str(root)], MAX_BYTES).content == printed.split()[0]
