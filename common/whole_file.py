"""Files that other programs read: there whole, or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from typing import IO, TYPE_CHECKING

from common.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedWriter
    from pathlib import Path

#: Names of what this process has open already. That may be a file, to which others write, too.
_OPEN_ALREADY = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/")
#: `.NAME.PID`.
_SCRATCH = re.compile(r"\..+\.[0-9]{1,10}", re.DOTALL)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that gets its name when the block has ended well, and not otherwise.

    Until then it lies beside that name, as `.NAME.PID`; such files of killed processes are removed. A link is followed,
    and a file that is there keeps its permissions. A device, a pipe, or what `/dev/stdout` stands for, is written to as
    it is, and never replaced.

    Raises:
        UsageError: the file cannot be written; any OSError of the block is taken for that.
        BrokenPipeError: the reader of a pipe has gone.

    """
    with _naming(path):
        if _is_stream(path):
            # Appended, and nothing created or cut off: others may have written to it before.
            with open(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as file:
                yield file
        else:
            with replaced_file(path.resolve()) as file:
                yield file


@contextmanager
def replaced_file(target: Path, *, is_lasting: bool = True) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of a regular one, or of none, as `whole_file` does; a link is replaced.

    Args:
        target: its name.
        is_lasting: whether the file must be whole after a power cut, too, for which the disk is waited for.

    Raises:
        OSError: the file cannot be written; or what the block raises.

    """
    with _scratch(target) as file:
        yield file
        file.flush()
        if is_lasting:
            os.fsync(file.fileno())  # else the name might outlive a power cut, and what it names not
        os.replace(file.name, target)


def check_writable(path: Path) -> None:
    """Check that `whole_file` can write a file, before hours go into what is to be written.

    Raises:
        UsageError: it cannot; as `whole_file` would raise it.

    """
    with _naming(path):
        if not _is_stream(path):
            with _scratch(path.resolve()):
                pass
        elif not os.access(path, os.W_OK):  # opened, a pipe would wait for its reader
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # a reader that has had enough is no fault
        raise
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from None


def _is_stream(path: Path) -> bool:
    """Say whether something is there that no file may take the place of: a device, a pipe, what is open already.

    Raises:
        OSError: it is a folder, or cannot be looked at.

    """
    if str(path).startswith(_OPEN_ALREADY):
        return True
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return not stat.S_ISREG(mode)


@contextmanager
def _scratch(target: Path) -> Iterator[BufferedWriter]:
    """Open a scratch file beside the target, with its permissions; it ends with the block, unless renamed."""
    kept = _permissions(target)
    _remove_abandoned(target)
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    with open(scratch, "xb", opener=partial(os.open, mode=0o666 if kept is None else kept)) as file:
        try:
            _lock(file.fileno())
            if kept is not None:
                os.fchmod(file.fileno(), kept)  # with what the umask took away
            yield file
        finally:
            with suppress(OSError):
                scratch.unlink()


def _lock(descriptor: int) -> None:
    """Mark a scratch file as one that is being written; the kernel releases the lock with the process.

    On a file system without locks, nothing is locked, and what a killed process leaves there stays.
    """
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_abandoned(target: Path) -> None:
    """Remove the scratch files of killed processes for this target; none of another user, or of a living process."""
    own = f".{target.name}.{os.getpid()}"  # of a killed process with the same number: in containers, many have it
    for name in {own, *_scratch_files(str(target.parent))}:
        base, _, pid = name.rpartition(".")
        if base == f".{target.name}" and (name == own or not _is_running(int(pid))):
            with suppress(OSError):
                _remove_if_unlocked(target.with_name(name), has_own_number=name == own)


@lru_cache(maxsize=64)
def _scratch_files(folder: str) -> frozenset[str]:
    """Return what looks like scratch files, as it was at the first write to a folder: it may hold a million files."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if _SCRATCH.fullmatch(entry.name))
    except OSError:  # one may write to a folder that one may not list
        return frozenset()


def _remove_if_unlocked(path: Path, *, has_own_number: bool) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # it is being written, by a process of whatever host or container
            return
        except OSError:  # a file system without locks
            if not has_own_number:
                return
        path.unlink()
    finally:
        os.close(descriptor)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; no number of a process
        return True
    return True


def _permissions(target: Path) -> int | None:
    """Return the permissions of the file that is there; None: there is none.

    Raises:
        OSError: it may not be written to. Replacing it would not ask.

    """
    try:
        descriptor = os.open(target, os.O_WRONLY)
    except FileNotFoundError:
        return None
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
