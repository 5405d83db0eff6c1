"""A folder for a process's sockets and scratch files, removed with the process; if that is killed, by the next one."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from common.child_process import deferred_signals
from common.errors import NightlabelError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "nightlabel-"
#: What `mkdtemp` makes of the prefix.
_NAME = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
#: The file that marks a folder as ours. Its owner holds a lock on it, which the kernel releases with the process.
_OWNER = "owner.lock"
_MODE = 0o700


class FolderError(NightlabelError):
    """There is nowhere to put a private folder."""

    exit_status = 4  # as where the private Redis, which lies in it, cannot be had


@contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a folder that only this user can enter (mode 0700), and remove it afterwards.

    Those of this user's processes that were killed are removed, too. A child that is forked in the meantime may use the
    folder, and does not remove it.

    Raises:
        FolderError: there is nowhere to put one.

    """
    pid = os.getpid()
    try:
        temporary = _shared_folder()
        _remove_abandoned(temporary)
    except OSError as error:
        raise _no_folder(error) from None
    with ExitStack() as stack:
        with deferred_signals():  # a Ctrl-C before it is known what to remove would leave the folder behind
            try:
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=temporary))
                owner = _lock_new(folder)
            except OSError as error:
                raise _no_folder(error) from None
            stack.callback(_remove_own, folder, owner, pid)
        yield folder


def _no_folder(error: OSError) -> FolderError:
    return FolderError(f"A private folder cannot be made: {error}. Let TMPDIR name a folder for it.")


def _remove_own(folder: Path, owner: int, pid: int) -> None:
    if os.getpid() == pid:  # a forked child collects the generator, too
        shutil.rmtree(folder, ignore_errors=True)
    os.close(owner)


def _shared_folder() -> Path:
    """Return the folder for temporary files; never one of ours, with which this one would be removed.

    A worker that restarts itself on SIGHUP finds TMPDIR as it set it: to a folder that was its own, and is abandoned.
    """
    folder = Path(tempfile.gettempdir())
    return folder.parent if _NAME.fullmatch(folder.name) and (folder / _OWNER).exists() else folder


def _lock_new(folder: Path) -> int:
    """Mark a folder as this process's; return the descriptor that holds it."""
    nameless = folder / f".{_OWNER}"
    owner = os.open(nameless, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(owner, fcntl.LOCK_EX)
    nameless.rename(folder / _OWNER)  # from here on it is marked as ours, and locked already
    return owner


def _remove_abandoned(temporary: Path) -> None:
    with suppress(OSError):
        for folder in list(temporary.glob(f"{_PREFIX}*")):
            if _NAME.fullmatch(folder.name):
                with suppress(OSError):
                    _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    """Remove a private folder whose owner is gone: never a link's target, another user's, or a living one's."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != _MODE:
        return
    owner = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(owner)
