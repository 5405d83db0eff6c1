"""A share whose server has gone: the kernel waits for its answers, and none comes."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.conftest import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_MNT_DETACH = 2


@contextmanager
def dead_share(folder: Path) -> Iterator[None]:
    """Mount on a folder a file system in user space of which nobody reads the requests.

    Whoever looks into the folder meanwhile waits in the kernel; at the end, with an error, they go on.
    """
    try:
        requests = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        missing(f"no file system in user space here: {error}")
    options = f"fd={requests},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if _LIBC.mount(b"dead", os.fsencode(folder), b"fuse", 0, options):
        os.close(requests)
        missing(f"this user may not mount: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        _LIBC.umount2(os.fsencode(folder), _MNT_DETACH)
        os.close(requests)
