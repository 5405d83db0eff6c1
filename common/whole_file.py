"""Files that other programs read: there whole, or not at all."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, TYPE_CHECKING

from common.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedWriter
    from pathlib import Path

#: Names of what this process has open already. That may be a file, to which others write, too.
_OPEN_ALREADY = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/")


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that gets its name when the block has ended well, and not otherwise.

    Until then it lies beside that name, as `.NAME.PID`. A link is followed, and a file that is there keeps its
    permissions. A device, a pipe, or what `/dev/stdout` stands for, is written to as it is, and never replaced.

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
            target = path.resolve()
            with _scratch(target) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # else the name might outlive a power cut, and what it names not
                os.replace(file.name, target)


def check_writable(path: Path) -> None:
    """Refuse a file that `whole_file` could not write, before hours go into what is to be written.

    Raises:
        UsageError: the one that `whole_file` would raise.

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
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        scratch.unlink(missing_ok=True)  # of a killed process with the same number: in containers many have it
        with open(scratch, "xb", opener=partial(os.open, mode=0o666 if kept is None else kept)) as file:
            if kept is not None:
                os.fchmod(file.fileno(), kept)  # with what the umask took away
            yield file
    finally:
        with suppress(OSError):
            scratch.unlink()


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
