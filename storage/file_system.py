"""The file system of a SQLite file: not one on a network, where it could not be trusted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil

from common.errors import DatabaseError

if TYPE_CHECKING:
    from storage.database import Database

#: Types of file systems, as the kernel names them, on which locks or shared memory do not hold between processes.
#: https://sqlite.org/useovernet.html; WAL needs both: https://sqlite.org/wal.html
_NETWORK = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afpfs", "afs", "webdav", "davfs", "ncpfs"),
        *("ceph", "glusterfs", "lustre", "beegfs", "gpfs", "pvfs2", "ocfs2", "gfs2"),
        *("fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.davfs2", "fuse.smbnetfs", "fuse.glusterfs", "fuse.ceph"),
    )
)


def raise_if_network_file_system(database: Database) -> None:
    """Check that a SQLite file does not lie on a network file system.

    Raises:
        DatabaseError: it does.

    """
    if not database.is_sqlite or not database.url.database:
        return
    kind = _file_system(database.url.database)
    if kind in _NETWORK:
        raise DatabaseError(
            f"The database {database.shown} lies on a network file system ({kind}), where SQLite can lose what it"
            " stored. Name a file on a local disk with --db or NIGHTLABEL_DATABASE_URL, or a Postgres. The images may"
            " stay where they are."
        )


def _file_system(path: str) -> str | None:
    """Return the type of the file system that a file is on, or will be."""
    folder = os.path.dirname(os.path.realpath(path))
    holders = [
        partition
        for partition in psutil.disk_partitions(all=True)
        if os.path.commonpath([folder, partition.mountpoint]) == partition.mountpoint
    ]
    # Of two that are mounted on one folder, the later one is seen.
    return max(enumerate(holders), key=lambda one: (len(one[1].mountpoint), one[0]))[1].fstype if holders else None
