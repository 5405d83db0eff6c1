"""pgbouncer in transaction mode: each transaction gets another connection of the server's, as it was left by others."""

from __future__ import annotations

import threading
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import literal, select, text

from common.errors import DatabaseBusyError, DatabaseError
from common.settings import load_settings
from storage.database import Database
from storage.schema_version import ensure_schema
from tests.faults.farm import Farm, wait_for_end, wait_to_say
from tests.unit.storage.nights import add, ask, begin_run, label_all, number, photos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from tests.command import Nightlabel
    from tests.servers import PgBouncer, PostgresServer

IMAGES = 64


@pytest.fixture
def url(postgres: PostgresServer, pgbouncer: PgBouncer) -> str:
    name = f"t{uuid.uuid4().hex}"
    postgres.create_database(name)
    return pgbouncer.url(name)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with closing(Database(load_settings(database_url=url).database_url)) as database:
        ensure_schema(database)
        yield database


def test_statements_that_are_sent_again_and_again_are_not_prepared(database: Database) -> None:
    """The driver would prepare them at the sixth time, on a connection that the next transaction does not get."""
    run = begin_run(database)

    def work() -> None:
        for _ in range(20):
            assert number(database, "select count(*) from runs") == 1

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for first in range(0, 400, 20):
        add(database, run, photos(20, first=first))
    for thread in threads:
        thread.join()
    label_all(database, run)
    assert number(database, "select count(*) from results") == 400
    assert ask(database, "select name from pg_prepared_statements") == []


def test_a_reader_sees_one_state_and_leaves_no_setting_behind(database: Database, url: str) -> None:
    with database.read() as connection:
        before = connection.execute(text("select count(*) from runs")).scalar()
        with closing(Database(load_settings(database_url=url).database_url)) as other:
            begin_run(other)
        assert connection.execute(text("select count(*) from runs")).scalar() == before
    for _ in range(6):
        with database.write() as connection:
            assert connection.execute(text("show transaction_isolation")).scalar() == "read committed"


def test_long_results_come_page_by_page(database: Database) -> None:
    numbers = select(literal(1).label("n")).select_from(text("generate_series(1, 3000)"))
    assert sum(len(columns[0]) for columns in database.pages(numbers, 1000)) == 3000


def test_options_that_pgbouncer_does_not_pass_on_are_told_with_what_to_do_instead(url: str) -> None:
    with_options = load_settings(database_url=f"{url}&options=-csearch_path%3Dphotos").database_url
    with closing(Database(with_options)) as database, pytest.raises(DatabaseError, match="ALTER ROLE") as caught:
        ensure_schema(database)
    assert not isinstance(caught.value, DatabaseBusyError)


def test_a_run_through_pgbouncer_that_is_started_again_in_its_midst_labels_every_image(
    url: str, pgbouncer: PgBouncer, nightlabel: Nightlabel, redis: PrivateRedis, archive: Callable[[int], Path]
) -> None:
    farm = Farm(nightlabel, url, redis.url)
    worker = farm.start_held_worker(2)
    follower = farm.follow(archive(IMAGES))
    farm.wait_for(16)
    pgbouncer.stop()
    farm.go_on()
    wait_to_say(follower, "does not answer")
    pgbouncer.start()
    wait_for_end(follower)

    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}
    assert worker.process.poll() is None
    exported = nightlabel("export", "--db", url)
    assert (exported.returncode, len(exported.stdout.splitlines())) == (0, IMAGES + 1)
