"""A file is there whole, or not at all; and what is no file is written to as it is."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import uuid
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from common.errors import UsageError
from common.whole_file import _scratch_files, check_writable, whole_file
from tests.conftest import ROOT
from tests.unit.storage.privileges import without_privileges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WRITER = """
import sys, time
from pathlib import Path
from common.whole_file import whole_file
with whole_file(Path(sys.argv[1])) as file:
    file.write(b"half of it")
    file.flush()
    print("writing", flush=True)
    time.sleep(600)
"""

BY_NAME = """
from pathlib import Path
from common.whole_file import whole_file
with whole_file(Path("/dev/stdout")) as file:
    file.write(b"after\\n")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds nothing but what the test puts there."""
    path = tmp_path / "folder"
    path.mkdir()
    return path


@pytest.fixture
def open_folder(short_folder: Path) -> Path:
    """A folder in which everybody may write."""
    path = short_folder / uuid.uuid4().hex
    path.mkdir()
    path.chmod(0o777)
    return path


def write(path: Path, text: str = "new") -> None:
    with whole_file(path) as file:
        file.write(text.encode())


def write_until(path: Path, end: Callable[[], object]) -> None:
    """Write something, and do what ends the writing."""
    with whole_file(path) as file:
        file.write(b"half of it")
        end()


def refusals(path: Path) -> set[str]:
    """Return what is said of a file that cannot be written: at once, and when it is to be written."""
    with pytest.raises(UsageError) as early:
        check_writable(path)
    with pytest.raises(UsageError) as late:
        write(path)
    return {str(early.value), str(late.value)}


@contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that is in the middle of writing a file."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


@contextmanager
def reader(fifo: Path) -> Iterator[int]:
    """Make a FIFO and read it; without a reader, a writer would wait."""
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_a_file_is_there_when_the_block_has_ended(folder: Path) -> None:
    with whole_file(folder / "night.csv") as file:
        file.write(b"new")
        assert os.listdir(folder) == [f".night.csv.{os.getpid()}"]

    assert (folder / "night.csv").read_bytes() == b"new"
    assert os.listdir(folder) == ["night.csv"]


@pytest.mark.parametrize("cause", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_what_ends_the_block_early_leaves_the_older_file_alone(folder: Path, cause: type[BaseException]) -> None:
    (folder / "night.csv").write_text("older")

    def end() -> None:
        raise cause

    with pytest.raises(cause):
        write_until(folder / "night.csv", end)

    assert (folder / "night.csv").read_text() == "older"
    assert os.listdir(folder) == ["night.csv"]


def test_a_disk_that_fills_up_is_said_and_leaves_nothing(folder: Path) -> None:
    with pytest.raises(UsageError) as caught, whole_file(folder / "night.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert str(caught.value) == f"{folder / 'night.csv'} cannot be written: No space left on device."
    assert os.listdir(folder) == []


def test_a_scratch_file_of_a_killed_process_with_the_same_number_is_no_obstacle(folder: Path) -> None:
    scratch = folder / f".night.csv.{os.getpid()}"
    scratch.write_text("half of it")
    scratch.chmod(0o444)

    write(folder / "night.csv")

    assert (folder / "night.csv").read_text() == "new"
    assert os.listdir(folder) == ["night.csv"]


def test_the_scratch_file_of_a_killed_process_is_removed_by_the_next_write(folder: Path) -> None:
    with writer(folder / "night.csv") as process:
        process.kill()
        process.wait()
    assert os.listdir(folder) == [f".night.csv.{process.pid}"]

    write(folder / "night.csv")

    assert os.listdir(folder) == ["night.csv"]


@pytest.mark.parametrize("sign", [signal.SIGCONT, signal.SIGSTOP])
def test_the_scratch_file_of_a_living_process_is_left_alone(folder: Path, sign: signal.Signals) -> None:
    with writer(folder / "night.csv") as process:
        process.send_signal(sign)  # also one that stands still

        write(folder / "night.csv")

        assert set(os.listdir(folder)) == {"night.csv", f".night.csv.{process.pid}"}


def test_a_scratch_file_that_is_written_in_another_container_is_left_alone(folder: Path) -> None:
    """Its number says nothing here: it is nobody's, or even this process's own. The lock does."""
    number = 2**22 + 1  # above Linux's highest: a process of this number runs nowhere
    for name in (f".night.csv.{number}", f".night.csv.{os.getpid()}"):
        with (folder / name).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with suppress(UsageError):  # two with one number cannot write at once
                write(folder / "night.csv")
            assert (folder / name).exists()
        write(folder / "night.csv")
        assert os.listdir(folder) == ["night.csv"]
        _scratch_files.cache_clear()  # as another command would begin


def test_what_is_no_scratch_file_of_this_target_is_left_alone(folder: Path) -> None:
    others = {".night.csv.", ".night.csv.1.bak", ".other.csv.4194305", "night.csv.4194305", ".night.csv.419430five"}
    for name in others:
        (folder / name).touch()
    (folder / ".night.csv.4194306").symlink_to("night.csv")
    (folder / ".night.csv.4194307").mkdir()

    write(folder / "night.csv")

    assert set(os.listdir(folder)) == {*others, "night.csv", ".night.csv.4194306", ".night.csv.4194307"}


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_is_followed(folder: Path, is_there: bool) -> None:
    target = folder / "elsewhere" / "night.csv"
    target.parent.mkdir()
    if is_there:
        target.write_text("older")
    (folder / "link").symlink_to("elsewhere/night.csv")

    write(folder / "link")

    assert (folder / "link").is_symlink()
    assert target.read_text() == "new"
    assert os.listdir(target.parent) == ["night.csv"]


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o751])
def test_a_file_keeps_its_permissions_while_it_is_written_and_after(folder: Path, mode: int) -> None:
    path = folder / "night.csv"
    path.write_text("older")
    path.chmod(mode)

    with whole_file(path) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == mode
        file.write(b"new")

    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_text() == "new"


def test_a_new_file_has_the_permissions_that_any_other_has(folder: Path) -> None:
    (folder / "other").write_text("")
    write(folder / "night.csv")

    assert (folder / "night.csv").stat().st_mode == (folder / "other").stat().st_mode


def test_a_pipe_is_written_to_and_stays_one(folder: Path) -> None:
    fifo = folder / "fifo"
    with reader(fifo) as descriptor:
        check_writable(fifo)
        write(fifo)
        assert os.read(descriptor, 100) == b"new"

    assert fifo.is_fifo()
    assert os.listdir(folder) == ["fifo"]


def test_a_link_to_a_pipe_is_written_to_as_it_is(folder: Path) -> None:
    (folder / "link").symlink_to("fifo")
    with reader(folder / "fifo") as descriptor:
        write(folder / "link")
        assert os.read(descriptor, 100) == b"new"

    assert (folder / "link").is_symlink()
    assert (folder / "fifo").is_fifo()


def test_a_reader_that_has_gone_is_told_from_a_file_that_cannot_be_written(folder: Path) -> None:
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    with pytest.raises(BrokenPipeError):
        write_until(fifo, partial(os.close, descriptor))

    assert fifo.is_fifo()


def test_standard_output_by_name_is_appended_to(folder: Path) -> None:
    """It may be a file that others write to as well: it is neither replaced nor cut off."""
    log = folder / "log"
    log.write_text("before\n")
    with log.open("ab") as output:
        subprocess.run([sys.executable, "-c", BY_NAME], cwd=ROOT, stdout=output, check=True)

    assert log.read_text() == "before\nafter\n"
    assert os.listdir(folder) == ["log"]


def test_standard_output_by_name_may_be_a_pipe() -> None:
    done = subprocess.run([sys.executable, "-c", BY_NAME], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b"after\n"


def test_a_folder_is_refused(folder: Path) -> None:
    assert refusals(folder) == {f"{folder} cannot be written: Is a directory."}


@pytest.mark.parametrize("name", [".", "/"])
def test_a_folder_that_has_no_name_of_its_own_is_refused(name: str) -> None:
    assert refusals(Path(name)) == {f"{name} cannot be written: Is a directory."}


def test_a_folder_that_is_missing_is_said(folder: Path) -> None:
    path = folder / "missing" / "night.csv"
    assert refusals(path) == {f"{path} cannot be written: No such file or directory."}


def test_a_file_in_place_of_a_folder_is_said(folder: Path) -> None:
    (folder / "file").write_text("")
    path = folder / "file" / "night.csv"
    assert refusals(path) == {f"{path} cannot be written: Not a directory."}


def test_a_link_to_itself_is_refused(folder: Path) -> None:
    (folder / "link").symlink_to("link")
    (reason,) = refusals(folder / "link")
    assert reason.startswith(f"{folder / 'link'} cannot be written: Too many levels")


def test_a_folder_in_which_nobody_may_write_is_refused(open_folder: Path) -> None:
    path = open_folder / "night.csv"
    open_folder.chmod(0o555)
    with without_privileges():
        assert refusals(path) == {f"{path} cannot be written: Permission denied."}


def test_a_file_that_may_only_be_read_is_not_replaced(open_folder: Path) -> None:
    path = open_folder / "night.csv"
    path.write_text("older")
    path.chmod(0o444)
    with without_privileges():
        assert refusals(path) == {f"{path} cannot be written: Permission denied."}

    assert path.read_text() == "older"
    assert os.listdir(open_folder) == ["night.csv"]


def test_a_pipe_that_may_only_be_read_is_refused_without_waiting_for_a_reader(open_folder: Path) -> None:
    fifo = open_folder / "fifo"
    os.mkfifo(fifo)
    fifo.chmod(0o444)
    with without_privileges(), pytest.raises(UsageError, match=f"{fifo} cannot be written: Permission denied"):
        check_writable(fifo)


@pytest.mark.parametrize("content", [None, "older"])
def test_a_look_ahead_changes_nothing(folder: Path, content: str | None) -> None:
    path = folder / "night.csv"
    if content is not None:
        path.write_text(content)
    check_writable(path)

    assert os.listdir(folder) == ([] if content is None else ["night.csv"])
    assert content is None or path.read_text() == content
