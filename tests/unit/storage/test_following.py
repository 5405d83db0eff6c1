"""A run is followed by one command at a time; one that is gone is replaced."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from storage.database import Database
from storage.runs import follow, unfollow
from tests.unit.storage.nights import begin_run
from tests.unit.storage.processes import at_once

if TYPE_CHECKING:
    from storage.records import Run

PATIENCE = timedelta(seconds=20)
#: Exit status of a process that was told of another follower.
TURNED_AWAY = 10


@pytest.fixture
def run(database: Database) -> Run:
    """A run that `anna:1` follows."""
    run = begin_run(database)
    assert follow(database, run.id, "anna:1", patience=PATIENCE) is None
    return run


def test_who_follows_may_say_so_again(database: Database, run: Run) -> None:
    assert follow(database, run.id, "anna:1", patience=PATIENCE) is None


def test_whoever_comes_second_is_told_who_was_first(database: Database, run: Run) -> None:
    assert follow(database, run.id, "bert:2", patience=PATIENCE) == "anna:1"


def test_whoever_was_turned_away_has_changed_nothing(database: Database, run: Run) -> None:
    follow(database, run.id, "bert:2", patience=PATIENCE)
    assert follow(database, run.id, "anna:1", patience=PATIENCE) is None


def test_a_follower_that_was_not_heard_of_for_long_is_replaced(database: Database, run: Run) -> None:
    assert follow(database, run.id, "bert:2", patience=timedelta()) is None
    assert follow(database, run.id, "anna:1", patience=PATIENCE) == "bert:2"


def test_a_follower_that_leaves_is_replaced_at_once(database: Database, run: Run) -> None:
    unfollow(database, run.id, "anna:1")
    assert follow(database, run.id, "bert:2", patience=PATIENCE) is None


def test_nobody_leaves_for_another(database: Database, run: Run) -> None:
    unfollow(database, run.id, "bert:2")
    assert follow(database, run.id, "bert:2", patience=PATIENCE) == "anna:1"


def test_another_run_is_followed_by_whom_it_may(database: Database, run: Run) -> None:
    other = begin_run(database, root="/other")
    assert follow(database, other.id, "bert:2", patience=PATIENCE) is None


def follow_at_once(url: str, run_id: int) -> None:
    database = Database(url)
    if follow(database, run_id, f"host:{os.getpid()}", patience=PATIENCE):
        os._exit(TURNED_AWAY)


def test_of_commands_that_begin_to_follow_at_once_one_does(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    statuses = at_once(follow_at_once, [(url, begin_run(database).id)] * 4)
    assert sorted(map(str, statuses)) == [str(os.EX_OK), *[str(TURNED_AWAY)] * 3]
