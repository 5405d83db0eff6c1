"""A SQLite file on a network share is refused before anything is stored in it.

No network file system can be mounted by a test: the kernel's list of mounts is a planted one, the rest is real.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest

from common.errors import DatabaseError
from storage.database import Database
from storage.schema_version import ensure_schema

if TYPE_CHECKING:
    from pathlib import Path


class Mount(NamedTuple):
    mountpoint: str
    fstype: str


def mounted(monkeypatch: pytest.MonkeyPatch, *mounts: Mount) -> None:
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [Mount("/", "ext4"), *mounts])


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_database_on_a_network_share_is_refused_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mounted(monkeypatch, Mount(str(tmp_path), kind))
    database = Database(f"sqlite:///{tmp_path / 'night.db'}")
    with pytest.raises(DatabaseError, match=rf"network file system \({kind}\)"):
        ensure_schema(database)
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_share_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (tmp_path / "link").symlink_to(share)
    mounted(monkeypatch, Mount(str(share), "nfs"))
    with pytest.raises(DatabaseError, match="nfs"):
        ensure_schema(Database(f"sqlite:///{tmp_path / 'link' / 'night.db'}"))


def test_a_local_disk_below_a_share_or_beside_one_is_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = tmp_path / "share" / "local"
    local.mkdir(parents=True)
    mounted(
        monkeypatch,
        Mount(str(tmp_path / "share"), "nfs"),
        Mount(str(local), "ext4"),
        Mount(str(tmp_path / "share" / "loc"), "nfs"),
    )
    database = Database(f"sqlite:///{local / 'night.db'}")
    ensure_schema(database)
    database.close()
    assert (local / "night.db").exists()
