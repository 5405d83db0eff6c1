"""A worker makes no empty database where its own is gone: beside the log of that one, SQLite would remove the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.errors import DatabaseError
from storage.database import Database
from storage.identity import database_identity
from storage.schema_version import ensure_schema
from tests.processes import NO_PROCESS
from worker.database_queue import _identity
from worker.process import WorkerProcess
from worker.request import _record_crash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from common.settings import Settings


def warm_up(settings: Settings, _: str) -> None:
    with pytest.raises(DatabaseError, match="is gone"):
        WorkerProcess(settings, main_pid=NO_PROCESS).warm_up()


def record_a_crash(settings: Settings, identity: str) -> None:
    _record_crash(settings, (identity, 1, 1), "signal 9 (SIGKILL)")


def look_whose_queue_it_is(settings: Settings, _: str) -> None:
    assert _identity(settings) is None


@pytest.mark.parametrize("act", [warm_up, record_a_crash, look_whose_queue_it_is])
def test_a_file_that_was_moved_away_is_not_made_anew_and_its_log_stays(
    act: Callable[[Settings, str], None], settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "night.db"
    settings = settings.model_copy(update={"database_url": f"sqlite:///{path}"})
    database = Database(settings.database_url)
    ensure_schema(database)
    identity = database_identity(database)
    log = path.with_name("night.db-wal").read_bytes()
    path.rename(path.with_name("elsewhere.db"))

    act(settings, identity)

    assert not path.exists()
    assert path.with_name("night.db-wal").read_bytes() == log
    database.close()
