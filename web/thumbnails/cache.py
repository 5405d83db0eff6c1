"""Thumbnails on disk, by the content of the image that they show, up to so many bytes.

Several servers may share the folder: each file is put there whole, and says by its hash that it is what its name says.
It is divided into shelves, each with a share of the bytes: making room looks at one shelf, and not at everything.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, NamedTuple

from common.whole_file import replaced_file
from pictures.thumbnail import WHOLE_THUMBNAIL_VERSION

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

#: `outcomes.content`, whose first digit names the shelf.
_CONTENT = re.compile(r"[0-9a-f]{32}")
_SHELVES = 16
#: What lies here: of any version, and, with a point before it and a number after, what is being written.
_NAME = re.compile(r"\.?[0-9a-f]{32}-[a-z]+-[0-9]+(\.[0-9]+)?")
#: Each file begins with the hash of its name and of what follows.
_HASH_BYTES = 16
#: Of a shelf's share: what may be written before the shelf is looked at again, since other servers write to it, too;
#: and what is left there once room was made.
_LOOK_AFTER, _LEFT = 0.1, 0.9
#: Seconds after which a thumbnail that is read counts as used again: a time is written to the disk then.
_USED_AGAIN_S = 3600
#: Permissions of the folders: pictures are nobody else's.
_OWN = 0o700
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Kept(NamedTuple):
    used_at: float
    size: int
    path: str


class ThumbnailCache:
    """Thumbnails that are kept; where they cannot be, everything is missing from it, and the log says so once.

    Args:
        folder: for them alone; it is made, for this user only, when the first one is put there.
        max_bytes: that they may take together; 0: none is kept.

    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._shelf_bytes = max_bytes // _SHELVES
        self._unlooked: dict[str, float] = {}  # of a shelf: bytes written since it was looked at; not in it: never
        self._own_shelves: set[str] = set()
        self._has_complained = False

    def get(self, content: str, size: str) -> bytes | None:
        """Return the thumbnail of this size of an image with this content; None: it is not kept."""
        if not self._keeps(content):
            return None
        path = self._path(content, size)
        try:
            self._check_shelf(path.parent)
            return self._read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._complain(error)
            return None

    def put(self, content: str, size: str, jpeg: bytes) -> None:
        """Keep a thumbnail, and make room for it."""
        if not self._keeps(content):
            return
        path = self._path(content, size)
        data = _hash(path.name, jpeg) + jpeg
        if len(data) > self._shelf_bytes:
            return
        shelf = path.parent.name
        try:
            self._make_shelf(path.parent)
            # Another thread of this process may write the same one.
            with suppress(FileExistsError, FileNotFoundError), replaced_file(path, is_lasting=False) as file:
                file.write(data)
            written = self._unlooked.get(shelf, self._shelf_bytes) + len(data)
            self._unlooked[shelf] = written
            if written >= _LOOK_AFTER * self._shelf_bytes:
                self._make_room(path.parent)
                self._unlooked[shelf] = 0
        except OSError as error:
            self._complain(error)

    def _keeps(self, content: str) -> bool:
        return self._shelf_bytes > 0 and _CONTENT.fullmatch(content) is not None

    def _path(self, content: str, size: str) -> Path:
        return self._folder / content[0] / f"{content}-{size}-{WHOLE_THUMBNAIL_VERSION}"

    def _read(self, path: Path) -> bytes | None:
        """Return what a file holds if it is whole, and what its name says; another one is removed."""
        with open(os.open(path, _FLAGS), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > self._shelf_bytes:
                return None
            data = file.read()
            jpeg = data[_HASH_BYTES:]
            if data[:_HASH_BYTES] != _hash(path.name, jpeg):
                path.unlink(missing_ok=True)
                return None
            if time() - status.st_mtime > _USED_AGAIN_S:
                with suppress(OSError):  # another user's, as root's
                    os.utime(file.fileno())
        return jpeg

    def _make_shelf(self, shelf: Path) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self._folder, shelf):
            with suppress(FileExistsError):
                folder.mkdir(_OWN)
        self._check_shelf(shelf)

    def _check_shelf(self, shelf: Path) -> None:
        """Check that nobody else can put anything there.

        Raises:
            OSError: it is not there, a link, or another user's.

        """
        if shelf.name in self._own_shelves:
            return
        for folder in (self._folder, shelf):
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                raise NotADirectoryError(None, f"{folder} is no folder of this user's own")
            if stat.S_IMODE(status.st_mode) != _OWN:
                folder.chmod(_OWN)
        self._own_shelves.add(shelf.name)

    def _make_room(self, shelf: Path) -> None:
        """Remove what was not used for longest, with what killed servers left behind; files of other names stay."""
        kept = []
        with os.scandir(shelf) as entries:
            for entry in filter(lambda entry: _NAME.fullmatch(entry.name), entries):
                with suppress(OSError):  # gone already, by another server
                    status = entry.stat(follow_symlinks=False)
                    kept.append(_Kept(status.st_mtime, status.st_size, entry.path))
        taken = sum(one.size for one in kept)
        if taken <= self._shelf_bytes:
            return
        for one in sorted(kept):
            if taken <= _LEFT * self._shelf_bytes:
                return
            with suppress(OSError):
                os.unlink(one.path)
            taken -= one.size

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            logger.warning("thumbnails are not kept in %s: %s", self._folder, error.strerror or error)
        self._has_complained = True


def _hash(name: str, jpeg: bytes) -> bytes:
    return hashlib.blake2b(jpeg, digest_size=_HASH_BYTES, key=name.encode()).digest()
