"""A run is followed by one command at a time; one that is gone is replaced, whatever the clocks say."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from common.errors import CancelledError, DatabaseError
from storage.database import Database
from storage.run_leases import Holder, acquire, release
from storage.runs import cancel, get_run
from storage.tables import runs
from tests.unit.storage.nights import begin_run, change
from tests.unit.storage.processes import at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.records import Run

PATIENCE = timedelta(seconds=20)
#: Exit status of a process that was told of another follower.
TURNED_AWAY = 10
#: Two commands, of one machine or of two.
ANNA, BERT = Holder("anna:1", "boot/pid:[1]/1/0.50"), Holder("bert:2", "boot/pid:[1]/2/0.75")


def nobody_knows(_process: str | None) -> None:
    """Say of a process what one on another machine can say."""


def ask_to_follow(
    database: Database,
    run: Run,
    follower: Holder,
    *,
    patience: timedelta = PATIENCE,
    is_running: Callable[[str | None], bool | None] = nobody_knows,
) -> str | None:
    return acquire(database, run.id, follower, patience=patience, is_running=is_running)


@pytest.fixture
def run(database: Database) -> Run:
    """A run that `anna:1` follows."""
    run = begin_run(database)
    assert ask_to_follow(database, run, ANNA) is None
    return run


def test_who_follows_may_say_so_again(database: Database, run: Run) -> None:
    assert ask_to_follow(database, run, ANNA) is None


def test_whoever_comes_second_is_told_who_was_first(database: Database, run: Run) -> None:
    assert ask_to_follow(database, run, BERT) == "anna:1"


def test_whoever_was_turned_away_has_changed_nothing(database: Database, run: Run) -> None:
    ask_to_follow(database, run, BERT)
    assert ask_to_follow(database, run, ANNA) is None


def test_a_follower_that_was_not_heard_of_for_long_is_replaced(database: Database, run: Run) -> None:
    assert ask_to_follow(database, run, BERT, patience=timedelta()) is None
    assert ask_to_follow(database, run, ANNA) == "bert:2"


def test_a_follower_that_leaves_is_replaced_at_once(database: Database, run: Run) -> None:
    release(database, run.id, ANNA)
    assert ask_to_follow(database, run, BERT) is None


def test_a_run_that_a_backup_knows_nothing_of_ends_with_a_sentence(database: Database, run: Run) -> None:
    change(database, f"delete from runs where id = {run.id}")

    with pytest.raises(DatabaseError, match="no run 1 any more"):
        ask_to_follow(database, run, ANNA)


def test_nobody_leaves_for_another(database: Database, run: Run) -> None:
    release(database, run.id, BERT)
    assert ask_to_follow(database, run, BERT) == "anna:1"


def test_another_run_is_followed_by_whom_it_may(database: Database, run: Run) -> None:
    other = begin_run(database, root="/other")
    assert ask_to_follow(database, other, BERT) is None


def follow_at_once(url: str, run_id: int) -> None:
    database = Database(url)
    name = f"host:{os.getpid()}"
    if acquire(database, run_id, Holder(name, name), patience=PATIENCE, is_running=nobody_knows):
        os._exit(TURNED_AWAY)


def test_of_commands_that_begin_to_follow_at_once_one_does(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    statuses = at_once(follow_at_once, [(url, begin_run(database).id)] * 4)
    assert sorted(map(str, statuses)) == [str(os.EX_OK), *[str(TURNED_AWAY)] * 3]


def test_a_follower_that_is_known_to_run_keeps_its_run_however_silent_it_is(database: Database, run: Run) -> None:
    """A long scan, or a database that was locked for minutes: silence is not the end of a process."""
    heard_of_at(database, run, datetime.now(UTC) - timedelta(hours=9))
    assert ask_to_follow(database, run, BERT, patience=timedelta(), is_running=lambda _: True) == "anna:1"


def test_a_follower_that_is_known_to_be_gone_is_replaced_at_once(database: Database, run: Run) -> None:
    assert ask_to_follow(database, run, BERT, is_running=lambda _: False) is None
    assert ask_to_follow(database, run, ANNA) == "bert:2"


def test_it_is_the_process_that_is_asked_after_and_not_its_name(database: Database, run: Run) -> None:
    """A container that is started again has the same host name, and its processes have the same numbers."""
    asked: list[str | None] = []
    namesake = Holder(ANNA.name, "boot/pid:[2]/1/99.00")
    assert ask_to_follow(database, run, namesake, is_running=asked.append) == "anna:1"
    assert asked == [ANNA.process]


@pytest.mark.parametrize("hours", [-9, 9])
def test_a_clock_that_was_set_since_keeps_no_run_from_being_followed_for_hours(
    database: Database, run: Run, hours: int
) -> None:
    """A follower that was last heard of in the future is not one that is heard of now."""
    heard_of_at(database, run, datetime.now(UTC) + timedelta(hours=hours))
    assert ask_to_follow(database, run, BERT) is None


def test_a_cancelled_run_is_followed_by_nobody_any_more(database: Database, run: Run) -> None:
    cancel(database, run.id)
    with pytest.raises(CancelledError, match=f"Run {run.id} was cancelled"):
        ask_to_follow(database, run, ANNA)


def test_a_run_says_which_process_follows_it(database: Database, run: Run) -> None:
    stored = get_run(database, run.id)
    assert stored
    assert (stored.follower, stored.follower_process) == ANNA


def heard_of_at(database: Database, run: Run, at: datetime) -> None:
    with database.write() as connection:
        connection.execute(update(runs).where(runs.c.id == run.id).values(followed_at=at))
