"""Folders and files on a disk, or on a share that is mounted."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from archive.location import scheme_of
from archive.places.local_file import read_file, version_of_file
from archive.places.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archive.blocking import Heartbeat
    from archive.places.contract import Contents, Listing, Version
    from storage.records import ImageRef


class LocalFolder:
    """The place that every path is of."""

    def knows(self, location: str) -> bool:
        return scheme_of(location) is None

    def absolute(self, typed: str) -> str:
        return os.path.abspath(typed)

    def find_root(self, typed: str) -> str:
        """Return the real path of a folder or a file; `~` is a user's home folder.

        Raises:
            OSError: it is missing or cannot be read.

        """
        if not typed:  # an unset variable, which pathlib takes for the current folder
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        try:
            real = Path(typed).expanduser().resolve(strict=True)
        except RuntimeError as error:  # a loop of links, or ~somebody who is not known
            raise OSError(errno.EINVAL, str(error)) from None
        if real.is_dir():
            os.scandir(real).close()
        elif not os.access(real, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return str(real)

    def is_single_image(self, root: str) -> bool:
        return os.path.isfile(root)

    def list_images(self, root: str, listing: Listing) -> Iterator[ImageRef]:
        """Yield the images under a root, folder by folder in the order of their names.

        Hidden files and folders are skipped; folders that programs manage, too, unless `no_skip`. Links to files inside
        the root are followed; links out of it, and links to folders, are not.

        Raises:
            ArchiveError: the root is gone, cannot be read, or does not answer.

        """
        walk = Walk(root, listing)
        only = walk.only_file()
        if only:
            yield only
        else:
            yield from walk.images()

    def why_gone(self, root: str) -> str | None:
        """Return why no image can be read from a folder that held some; None if it looks well.

        An empty one counts as gone: it is what is left of a mount point when its disk is not there.
        """
        try:
            with os.scandir(root) as entries:
                return None if next(entries, None) else "it is empty"
        except OSError as error:
            return error.strerror or str(error)

    def read(self, location: str, roots: Sequence[str], max_bytes: int, heartbeat: Heartbeat) -> Contents:
        return read_file(location, roots, max_bytes, heartbeat)

    def version_of(self, location: str) -> Version | None:
        return version_of_file(location)
