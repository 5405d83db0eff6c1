"""Private folders: gone with their process, however it ends; and nothing else of anybody's goes with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from host.private_folder import FolderError, private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OWNER = (
    "import sys, time\nfrom host.private_folder import private_folder\n"
    "with private_folder() as folder: print(folder, flush=True); time.sleep(600)"
)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def owner(temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a private folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(temporary)}
    )
    assert process.stdout
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_folder_is_private_and_is_removed_at_the_end(temporary: Path) -> None:
    with private_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "redis.sock").touch()
    assert names(temporary) == set()


def test_what_a_kill_left_is_removed_by_the_next_one(temporary: Path, owner: subprocess.Popen[str]) -> None:
    (left,) = temporary.iterdir()
    (left / "pymp-abcdefgh").mkdir()
    owner.send_signal(signal.SIGKILL)
    owner.wait()

    with private_folder() as folder:
        assert names(temporary) == {folder.name}


@pytest.mark.parametrize("sign", [signal.SIGCONT, signal.SIGSTOP])
def test_the_folder_of_one_that_lives_is_left_alone(
    temporary: Path, owner: subprocess.Popen[str], sign: signal.Signals
) -> None:
    owner.send_signal(sign)  # also one that stands still

    with private_folder() as folder:
        assert len(names(temporary) - {folder.name}) == 1


def test_what_is_no_such_folder_is_left_alone(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "owner.lock").touch()
    (temporary / "nightlabel-linkedto").symlink_to(elsewhere)
    (temporary / "nightlabel-unmarked").mkdir(mode=0o700)
    for name, mode in (("nightlabel-readable", 0o755), ("nightlabel-photos-2026", 0o700), ("nightlabel-", 0o700)):
        (temporary / name).mkdir(mode=mode)
        (temporary / name / "owner.lock").touch()
    (temporary / "nightlabel-aplainfi").touch()
    before = names(temporary)

    with private_folder():
        pass

    assert names(temporary) == before
    assert names(elsewhere) == {"owner.lock"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder another user's")
def test_another_users_folder_is_left_alone(temporary: Path) -> None:
    (temporary / "nightlabel-anothers").mkdir(mode=0o700)
    (temporary / "nightlabel-anothers/owner.lock").touch()
    os.chown(temporary / "nightlabel-anothers", 12345, 12345)

    with private_folder():
        pass

    assert names(temporary) == {"nightlabel-anothers"}


def test_nowhere_to_put_one_is_said_with_the_variable_that_helps(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary / "none"))
    with pytest.raises(FolderError, match="Let TMPDIR name a folder"), private_folder():
        pass
