"""Two databases on one Redis: each worker labels what its own database's manifest says, and nothing else."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from broker.app import queue_name
from storage.database import Database
from storage.identity import database_identity
from storage.schema_version import ensure_schema
from tests.command import Nightlabel, wait_until
from tests.conftest import copy_photos
from tests.faults.farm import wait_for_end
from tests.faults.test_refused import _body, forged
from tests.unit.broker.queues import raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.private_redis import PrivateRedis
    from common.settings import Settings
    from tests.faults.farm import Farm, Worker

IMAGES = 24


def labels(database: Path) -> dict[str, str | None]:
    """Return each image's best label, by the file's name."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("select path, label_1 from results").fetchall()
    return {Path(path).name: label for path, label in rows}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, settings: Settings, photos: Path) -> dict[str, str | None]:
    """What the photos of a farm's archive show, labelled with nobody else on the Redis."""
    folder = tmp_path_factory.mktemp("alone")
    copy_photos(photos, folder / "archive", IMAGES)
    with Nightlabel(folder, settings) as nightlabel:
        wait_for_end(nightlabel.start("run", "archive"))
        return labels(nightlabel.database)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_worker_of_one_database_touches_nothing_of_the_other(
    farm: Farm, archive: Callable[[int], Path], alone: dict[str, str | None], order: tuple[str, str]
) -> None:
    """The same numbers are other images in the other database, whose archive is the same without its first ones."""
    folder = farm.nightlabel.folder
    given = {"a": (), "b": ("--exclude", "0000*.jpg")}
    for name in order:
        farm.enqueue(archive(IMAGES), *given[name], "--db", f"{name}.db")

    farm.nightlabel.start("worker", "--concurrency", "1", "--db", "a.db")
    wait_until(lambda: len(labels(folder / "a.db")) == IMAGES or None)

    assert labels(folder / "a.db") == alone
    assert labels(folder / "b.db") == {}
    farm.nightlabel.start("worker", "--concurrency", "1", "--db", "b.db")
    wait_until(lambda: len(labels(folder / "b.db")) == IMAGES - 10 or None)
    assert labels(folder / "b.db").items() <= alone.items()


def test_a_status_counts_what_is_its_own_databases(farm: Farm, archive: Callable[[int], Path]) -> None:
    farm.enqueue(archive(IMAGES), "--db", "a.db")
    farm.enqueue(archive(IMAGES), "--exclude", "0000*.jpg", "--db", "b.db")
    worker = farm.nightlabel.start("worker", "--concurrency", "1", "--db", "a.db")
    wait_until(lambda: len(labels(farm.nightlabel.folder / "a.db")) == IMAGES or None)

    status = farm.nightlabel("status", "--db", "b.db").stdout

    assert worker.poll() is None
    assert "Worker " not in status  # the one that lives would never label it
    assert "Queue: 0 chunks" not in status


def body_of(*arguments: Any) -> str:
    return _body(json.dumps([arguments, {}, {}]).encode())


def test_a_forged_message_with_ids_and_paths_that_fit_labels_nothing_wrongly(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path], alone: dict[str, str | None]
) -> None:
    """Of this version and of an earlier one; of an attempt to come; of another database; with paths of other photos."""
    farm.enqueue(archive(IMAGES), "--db", "a.db")
    identity = database_identity(Database(f"sqlite:///{farm.nightlabel.folder / 'a.db'}"))
    other = "00000000-0000-4000-8000-000000000001"
    paths = [[number, str(archive(IMAGES) / "000" / f"{IMAGES - number:05}.jpg")] for number in range(1, 9)]
    key = f"nightlabel:{queue_name(identity)}"
    with raw(redis) as client:
        message = json.loads(client.lindex(key, -1))
        for arguments in (
            *((1, chunk, 1, paths) for chunk in (1, 2, 3)),
            *((identity, chunk, 1, paths) for chunk in (1, 2, 3)),
            *((other, chunk, 1) for chunk in (1, 2, 3)),
            *((identity, chunk, 2) for chunk in (1, 2, 3)),
            (identity, 99, 1),
            (identity, -1, 1),
            (identity, 2**63, 1),
            (identity, True, 1),
            (identity, "1", 1),
            (identity, 1, 1),
        ):

            def forge(copy: dict[str, Any], _: Path, arguments: tuple[Any, ...] = arguments) -> None:
                copy["body"] = body_of(*arguments)

            client.rpush(key, forged(message, forge, Path()))

    worker = farm.nightlabel.start("worker", "--concurrency", "1", "--db", "a.db")
    wait_until(lambda: len(labels(farm.nightlabel.folder / "a.db")) == IMAGES or worker.poll() is not None or None)

    assert worker.poll() is None
    assert labels(farm.nightlabel.folder / "a.db") == alone


@pytest.fixture
def worker(farm: Farm) -> Worker:
    """A worker that has labelled and waits, on the farm's database."""
    return farm.start_worker()


def make_anew(farm: Farm) -> None:
    """Throw the database away, and make an empty one of the same name."""
    database = Database(farm.database_url)
    if database.is_sqlite:
        for end in ("", "-wal", "-shm"):
            Path(f"{database.url.database}{end}").unlink(missing_ok=True)
        ensure_schema(Database(farm.database_url))
    else:
        with database.write() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        ensure_schema(database)
    database.close()


def test_a_database_that_is_made_anew_under_a_living_worker_gets_its_own_labels(
    farm: Farm, worker: Worker, archive: Callable[[int], Path], alone: dict[str, str | None]
) -> None:
    """The numbers begin again: chunk 1 and image 1 are others now, and so is the model of run 1."""
    folder = archive(IMAGES)
    farm.enqueue(folder, "--weights", "random")
    farm.wait_for(IMAGES)
    make_anew(farm)

    wait_for_end(farm.follow(folder, "--exclude", "0000*.jpg"))

    assert worker.process.poll() is None
    farm.assert_whole(IMAGES - 10)
    found = {Path(path).name: label for path, label in farm.ask("select path, label_1 from results")}
    assert found.items() <= alone.items()
    assert farm.count("results where weights = 'random'") == 0


def test_a_run_that_is_gone_on_with_on_another_engine_is_labelled_by_that_one(
    farm: Farm, worker: Worker, archive: Callable[[int], Path]
) -> None:
    """A worker that remembered the run would go on with the engine that it saw first."""
    farm.enqueue(archive(IMAGES), "--precision", "fp32", "--engine", "openvino")
    farm.wait_for(IMAGES)
    farm.ask("select 1")
    wait_for_end(farm.follow(archive(IMAGES), "--precision", "fp32", "--engine", "torch", "--relabel"))

    assert "is loaded on torch" in worker.stop()
    assert farm.ask("select distinct engine from runs order by engine") == [("openvino",), ("torch",)]
