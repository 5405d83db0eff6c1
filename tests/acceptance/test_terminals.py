"""Every command on every terminal: of any encoding and width, closed, full, or read by nobody; no name drives one."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.command import LONG_S, Nightlabel, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from common.settings import Settings

#: Names that turn a terminal red, its letters round, or its lines over; and some that no encoding but one holds.
NAMES = (
    *(b"plain.jpg", b"\x1b[31mred\x1b[0m.jpg", b"\x1b]0;title\x07.jpg", b"not \xff\xfe UTF-8.jpg", b"new\nline.jpg"),
    *("日本語.jpg".encode(), "\u202egpj.exe.jpg".encode(), b"over\rwritten.jpg", "\u2028line.jpg".encode()),
    *("\x9b31mC1.jpg".encode(), b"x" * 200 + b".jpg"),
)
DRIVING = ("\x1b", "\x07", "\r", "\x9b", "\u202e", "\u2028")
ASCII = {"PYTHONIOENCODING": "ascii"}
TERMINALS = {
    "ASCII": ASCII,
    "Latin 1": {"PYTHONIOENCODING": "latin-1"},
    "the C locale without UTF-8": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "20 columns": {"COLUMNS": "20"},
    "one column": {"COLUMNS": "1"},
    "dumb, without colours": {"TERM": "dumb", "NO_COLOR": "1"},
}
COMMANDS: dict[str, tuple[str | bytes, ...]] = {
    "report": ("report",),
    "report of several": ("report", "--since", "7d"),
    "status": ("status",),
    "status --watch": ("status", "--watch"),
    "models": ("models",),
    "export": ("export",),
    "classify": ("classify", "archive/plain.jpg", *(b"archive/" + name for name in NAMES)),
    "help": ("run", "--help"),
}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, settings: Settings, photos: Path) -> Iterator[Nightlabel]:
    """A folder with an archive of odd names that was labelled, half of it without success."""
    folder = tmp_path_factory.mktemp("terminals")
    (folder / "archive").mkdir()
    for name, photo in zip(NAMES, sorted(photos.glob("*.jpg")), strict=False):
        shutil.copyfile(photo, os.fsencode(folder / "archive") + b"/" + name)
        with open(os.fsencode(folder / "archive") + b"/" + name.replace(b".jpg", b"-damaged.jpg"), "wb") as file:
            file.write(b"\xff\xd8\xff no picture")
    with Nightlabel(folder, settings) as command:
        done = command("run", "archive", NIGHTLABEL_WORKERS="1", **ASCII)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        yield command


def ran(night: Nightlabel, *arguments: str | bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "nightlabel", *arguments],
        cwd=night.folder,
        env=night.environment | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LONG_S,
        check=False,
    )


@pytest.mark.parametrize("terminal", TERMINALS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_writes_to_any_terminal(night: Nightlabel, command: str, terminal: str) -> None:
    done = ran(night, *COMMANDS[command], **TERMINALS[terminal])

    # `classify` names files that are no pictures, and is right to end with 6.
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert b"Traceback" not in done.stderr
    if TERMINALS[terminal] is ASCII and command != "export":
        (done.stdout + done.stderr).decode("ascii")


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "export"])
def test_no_name_of_a_file_drives_the_terminal(night: Nightlabel, command: str) -> None:
    done = ran(night, *COMMANDS[command], PYTHONIOENCODING="utf-8")

    shown = (done.stdout + done.stderr).decode()
    assert [sign for sign in DRIVING if sign in shown] == []


@pytest.mark.parametrize("command", [("report", "--json"), ("classify", "--json", "archive/plain.jpg")])
@pytest.mark.parametrize("terminal", ["ASCII", "20 columns", "one column", "dumb, without colours"])
def test_json_is_whole_and_ascii_on_any_terminal(night: Nightlabel, command: tuple[str, ...], terminal: str) -> None:
    done = ran(night, *command, **TERMINALS[terminal])

    assert json.loads(done.stdout.decode("ascii"))


def in_shell(night: Nightlabel, command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell's; `nightlabel` in it is ours, and the status that of the first part of its pipe."""
    function = f'nightlabel() {{ "{sys.executable}" -P -m nightlabel "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", f"{function}{command}; exit ${{PIPESTATUS[0]}}"],
        cwd=night.folder,
        env=night.environment,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )


@pytest.mark.parametrize(
    "command", ["report", "report --json", "status", "models --all", "export", "report --since 7d"]
)
def test_a_reader_that_has_had_enough_is_no_fault(night: Nightlabel, command: str) -> None:
    done = in_shell(night, f"nightlabel {command} | true")

    assert (done.returncode, done.stderr.replace("22 rows.\n", "")) == (0, "")


@pytest.mark.parametrize("command", ["report", "report --json", "status", "models", "export"])
def test_a_full_disk_behind_standard_output_is_a_sentence(night: Nightlabel, command: str) -> None:
    done = in_shell(night, f"nightlabel {command} > /dev/full")

    assert (done.returncode, done.stderr) == (
        2,
        "nightlabel: Standard output cannot be written: No space left on device.\n",
    )


def test_a_run_without_standard_input_output_and_error_labels_all_and_damages_nothing(
    night: Nightlabel, photos: Path
) -> None:
    """The first files that a program opens then get the numbers of its streams, unless it sees to that."""
    folder = night.folder / "archive without streams"
    folder.mkdir()
    for photo in sorted(photos.glob("*.jpg"))[:20]:
        shutil.copyfile(photo, folder / photo.name)

    done = in_shell(night, f"nightlabel run '{folder}' --db streams.db <&- >&- 2>&-")

    assert done.returncode == 0
    checked = subprocess.run(
        ["sqlite3", "streams.db", "pragma integrity_check; select count(*) from results where status = 'ok'"],
        cwd=night.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert checked.stdout == "ok\n20\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["report", "status", "models", "export", "classify archive/plain.jpg"])
def test_a_command_without_some_stream_ends_well(night: Nightlabel, command: str, closed: str) -> None:
    assert in_shell(night, f"nightlabel {command} {closed}").returncode == 0


def test_a_run_whose_terminal_goes_away_under_nohup_labels_all(night: Nightlabel, photos: Path) -> None:
    """Standard error then gives an error whenever it is written to."""
    folder = night.folder / "archive of a night"
    folder.mkdir()
    for number in range(60):
        shutil.copyfile(sorted(photos.glob("*.jpg"))[number], folder / f"{number}.jpg")
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-P", "-m", "nightlabel", "run", str(folder), "--db", "gone.db"],
        cwd=night.folder,
        env=night.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509 - as nohup(1) does
    )
    os.close(theirs)
    os.read(ours, 10)
    os.close(ours)

    assert run.wait(200) == 0


def test_a_terminal_that_is_closed_ends_a_run_in_good_order(night: Nightlabel, photos: Path) -> None:
    folder = night.folder / "archive of an evening"
    folder.mkdir()
    for number in range(120):
        shutil.copyfile(sorted(photos.glob("*.jpg"))[number], folder / f"{number}.jpg")
    temporary = night.folder / "tmp"
    temporary.mkdir()
    run = night.start("run", folder, "--db", "hangup.db", TMPDIR=str(temporary))
    wait_until(lambda: list(temporary.glob("nightlabel-*/worker.log")) or None)
    run.send_signal(signal.SIGHUP)
    _, errors = run.communicate(timeout=LONG_S)

    assert run.returncode == 130, errors
    assert "Interrupted: " in errors
    assert list(temporary.iterdir()) == []
