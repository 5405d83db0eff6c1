"""The folder in which prepared models are kept: made where it is missing, and locked while something is written."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from common.errors import ModelError
from common.settings import NO_CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder of the cache, before minutes go into what will be kept there.

    Raises:
        ModelError: the cache cannot be written to.

    """
    if folder.is_relative_to(NO_CACHE):
        raise ModelError(
            "This user has no home folder to keep prepared models in. Set NIGHTLABEL_CACHE_DIR to a folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    except OSError as error:
        raise _unwritable(error) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep every other process on this machine out, until the block ends.

    Raises:
        ModelError: the cache cannot be written to.

    """
    make_folder(path.parent)
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(path.open("w"))
        except OSError as error:
            raise _unwritable(error) from None
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unwritable(error: OSError) -> ModelError:
    return ModelError(f"The cache cannot be written to: {error}. Set NIGHTLABEL_CACHE_DIR to another folder.")
