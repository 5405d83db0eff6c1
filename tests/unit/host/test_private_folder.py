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

_FORK = """
import os
from contextlib import ExitStack
from host.private_folder import private_folder
stacks = [ExitStack()]
folder = stacks[0].enter_context(private_folder())
for end in (lambda: stacks[0].close(), stacks.clear):
    child = os.fork()
    if not child:
        end()
        os._exit(0)
    os.waitpid(child, 0)
    assert folder.is_dir(), end
stacks[0].close()
"""
_RESTART = """
import os, sys
from host.private_folder import private_folder
with private_folder() as folder:
    print(folder, flush=True)
    os.environ["TMPDIR"] = str(folder)
    if len(sys.argv) == 1:
        os.execv(sys.executable, [sys.executable, "-c", open("/proc/self/cmdline").read().split(chr(0))[2], "again"])
"""


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


def test_a_child_that_is_forked_leaves_the_folder_to_its_parent(temporary: Path) -> None:
    """It comes to the end of the block, or throws away all that it inherited, as billiard's children do."""
    done = subprocess.run([sys.executable, "-c", _FORK], env=os.environ | {"TMPDIR": str(temporary)}, check=True)

    assert (done.returncode, names(temporary)) == (0, set())


def test_a_worker_that_restarts_itself_removes_the_folder_that_it_had(temporary: Path) -> None:
    """On SIGHUP, Celery replaces the program of its process: its environment stays, and names the folder."""
    command = [sys.executable, "-c", _RESTART]
    done = subprocess.run(
        command, env=os.environ | {"TMPDIR": str(temporary)}, check=True, capture_output=True, text=True
    )

    first, second = done.stdout.split()
    assert (os.path.dirname(second), first == second) == (str(temporary), False)
    assert names(temporary) == set()


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
