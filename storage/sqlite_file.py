"""The file behind a SQLite connection: whether its name still stands for it.

A connection keeps the file that it opened. When that is deleted, or another one gets its name, SQLite goes on writing
to what no name leads to any more, without an error; what is stored there is gone with the last process that has it
open.
https://sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DisconnectionError

from common.errors import DatabaseBusyError, DatabaseError
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import MutableMapping

#: Where a connection's record keeps which file it has open.
_OPENED = "nightlabel_file"
#: The same of its log. https://sqlite.org/wal.html#the_wal_file
_WAL = "nightlabel_wal"

#: A file for as long as it exists, whatever its name: device and inode.
FileId = tuple[int, int]


class SqliteFile:
    """A SQLite file by its name, and what this process knows of it."""

    def __init__(self, path: str, *, must_exist: bool) -> None:
        self.path = path
        self._wal = path + "-wal"
        self._must_exist = must_exist
        self._stale_wal: FileId | None = None

    def remember(self, info: MutableMapping[Any, Any]) -> None:
        """Note which file a new connection has opened."""
        info[_OPENED], info[_WAL] = self._id(), _id_of(self._wal)
        self._must_exist = True
        self._stale_wal = None

    def check_exists(self) -> None:
        """Check that a file which must exist does: opening it would make an empty one, or damage another.

        Raises:
            DatabaseError: it is gone, or what took its place lies beside its log.

        """
        if self._must_exist:
            self._id()
        if self._stale_wal:
            self._raise_if_stale_wal(self._stale_wal)

    def check_unchanged(self, info: MutableMapping[Any, Any]) -> None:
        """Check that a connection's file is still the one of that name.

        Raises:
            DatabaseError: the file is gone, or what took its place lies beside its log.
            DisconnectionError: it was replaced; SQLAlchemy opens the new one.

        """
        if info.get(_OPENED) == self._id():
            info[_WAL] = _id_of(self._wal)  # made by the first statement, not by opening
            return
        if info.get(_WAL):
            self._raise_if_stale_wal(info[_WAL])
        raise DisconnectionError

    def check_commit(self, info: MutableMapping[Any, Any]) -> None:
        """Check that what is to be committed can be found afterwards.

        Raises:
            DatabaseError: the file is gone.
            DatabaseBusyError: it was replaced; the next transaction meets the new one.

        """
        if info.get(_OPENED) != self._id():
            raise DatabaseBusyError(f"The database {shown(self.path)} was replaced by another file in the meantime.")

    def _raise_if_stale_wal(self, old: FileId) -> None:
        """Check that no new file lies beside the old one's log: SQLite would write into it what that holds."""
        self._stale_wal = None
        if _id_of(self._wal) == old and os.path.getsize(self.path):  # beside an empty file, SQLite removes the log
            self._stale_wal = old
            raise DatabaseError(
                f"The database {shown(self.path)} was replaced, and the log of the old one still lies beside it. Stop"
                f" every nightlabel, remove {shown(self._wal)}, and put the new file there once more."
            )

    def _id(self) -> FileId:
        found = _id_of(self.path)
        if found is None:
            raise DatabaseError(
                f"The database {shown(self.path)} is gone: it was deleted, moved, or its disk was taken away. Put it"
                " back and run the same command again; without it, that begins a new one."
            )
        return found


def _id_of(path: str) -> FileId | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
