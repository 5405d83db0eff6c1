"""The workers that a run starts: real ones, which are killed, started again, given up and stopped."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from broker.app import make_app
from broker.queue import workers
from common.errors import ModelError, WorkersError
from common.settings import load_settings
from runner.local_workers import LONGEST_PAUSE_S, MAX_DEATHS, LocalWorkers
from storage.database import Database
from storage.identity import database_identity
from storage.schema_version import ensure_schema
from tests.command import wait_until, wait_until_gone
from tests.faults.farm import PLANTED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from common.settings import Settings


@pytest.fixture
def own_settings(settings: Settings, redis: PrivateRedis, tmp_path: Path) -> Settings:
    """Settings of a run on a database and a Redis of the test's own."""
    url = f"sqlite:///{tmp_path / 'night.db'}"
    given = {"database_url": url, "broker_url": redis.url, "workers": 2, "time_limit_s": 2}
    own = load_settings(**(settings.model_dump() | given))
    database = Database(own.database_url)
    ensure_schema(database)
    database.close()
    return own


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.fixture
def local(own_settings: Settings, log: Path) -> Iterator[LocalWorkers]:
    """Workers, started."""
    local = LocalWorkers(own_settings, log)
    local.start()
    yield local
    local.stop()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds, as the pauses before a start see it: to be set."""
    now = [1000.0]
    monkeypatch.setattr("runner.local_workers.time.monotonic", lambda: now[0])
    return now


def mains() -> list[psutil.Process]:
    """Return the workers' main processes that this one has started and that live."""
    found = []
    for child in psutil.Process().children():
        try:
            if child.status() != psutil.STATUS_ZOMBIE and child.cmdline()[-2:] == ["nightlabel", "worker"]:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def only_main() -> psutil.Process:
    (main,) = wait_until(lambda: mains() or None)
    return main


def wait_until_they_label(settings: Settings) -> list[psutil.Process]:
    """Wait until the workers answer on the queue; return their processes, the main one first."""
    database = Database(settings.database_url)
    app = make_app(settings, database_identity(database))
    database.close()
    wait_until(lambda: workers(app) or None)
    main = only_main()
    wait_until(lambda: len(main.children()) >= 2 or None)
    return [main, *main.children()]


def wait_for_death(local: LocalWorkers) -> str:
    """Wait until a death is noted; return what is said of it."""
    return wait_until(lambda: local.keep_alive(0))


def test_they_are_as_many_as_the_settings_say_and_stop_without_a_trace(
    local: LocalWorkers, own_settings: Settings
) -> None:
    processes = wait_until_they_label(own_settings)
    assert len(processes) == 1 + 2
    assert local.keep_alive(0) is None

    local.stop()

    wait_until_gone(processes)
    assert mains() == []
    local.stop()  # again, as at the end of a run that was interrupted: no error


def test_one_that_is_killed_is_started_again_after_a_pause(local: LocalWorkers, clock: list[float]) -> None:
    first = only_main()
    first.kill()

    assert wait_for_death(local) == "The worker ended with status -9; starting it again in 1 s"
    assert (local.keep_alive(0), mains()) == (None, [])  # not before the pause is over
    clock[0] += 1
    assert local.keep_alive(0) is None
    assert only_main().pid != first.pid


def test_what_is_left_of_one_that_is_killed_ends_too(
    own_settings: Settings, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the kernel lets the children of a process outlive it, and they sleep on."""
    monkeypatch.setenv("PYTHONPATH", str(PLANTED))
    monkeypatch.setenv("ORPHANS_LIVE", "1")
    local = LocalWorkers(own_settings, log)
    local.start()
    main, *children = wait_until_they_label(own_settings)
    main.kill()
    wait_until(lambda: main.status() == psutil.STATUS_ZOMBIE or None)

    wait_for_death(local)

    wait_until_gone(children)


def test_the_pauses_grow_and_those_that_die_again_and_again_are_given_up(
    local: LocalWorkers, clock: list[float], log: Path
) -> None:
    pauses = []
    for _ in range(MAX_DEATHS - 1):
        only_main().kill()
        pauses.append(wait_for_death(local).rpartition(" in ")[2])
        clock[0] += LONGEST_PAUSE_S
        local.keep_alive(0)
    log.write_text("nightlabel worker: CRITICAL it is too hot\n")
    only_main().kill()

    with pytest.raises(WorkersError, match=rf"died {MAX_DEATHS} times in a row.*status -9\. It said: CRITICAL it is"):
        wait_for_death(local)
    assert pauses == ["1 s", "2 s", "4 s", "8 s", "16 s"]
    assert mains() == []


def test_a_chunk_that_was_done_between_two_deaths_begins_the_count_anew(
    local: LocalWorkers, clock: list[float]
) -> None:
    for done in range(2 * MAX_DEATHS):
        only_main().kill()
        said = wait_until(lambda done=done: local.keep_alive(done + 1))  # type: ignore[misc]
        assert said.endswith("starting it again in 1 s")
        clock[0] += 1
        local.keep_alive(done + 1)


def test_one_that_says_that_nothing_would_help_is_believed(own_settings: Settings, log: Path) -> None:
    """It ends with the status of what is wrong, and its sentence is passed on."""
    local = LocalWorkers(own_settings.model_copy(update={"model": "resnet19"}), log)
    local.start()
    with pytest.raises(ModelError, match=r"^The worker ended\. There is no model 'resnet19'"):
        wait_for_death(local)
    assert mains() == []


def test_workers_that_are_started_again_by_hand_are_others(local: LocalWorkers, own_settings: Settings) -> None:
    before = wait_until_they_label(own_settings)
    before[0].suspend()  # as one that hangs

    local.restart()

    wait_until_gone(before)
    assert only_main().pid != before[0].pid
    assert local.keep_alive(0) is None  # nobody died: it was meant


def test_one_that_hangs_is_killed_when_the_time_for_its_chunk_is_over(
    local: LocalWorkers, own_settings: Settings
) -> None:
    processes = wait_until_they_label(own_settings)
    for process in processes:
        process.send_signal(signal.SIGSTOP)

    local.stop()

    wait_until_gone(processes)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "It said nothing."),
        ("one\ntwo\nthree\nfour\nfive\nsix\n", "two\nthree\nfour\nfive\nsix"),
        ("ready\nCRITICAL the disk is full\nmore\nmore\nmore\nmore\nmore\nmore\n", "CRITICAL the disk is full"),
        ("nightlabel worker: No broker is set.\n", "No broker is set."),
        (b"gr\xfc\xdfe\n".decode("latin-1"), "grüße"),
    ],
    ids=["nothing", "the last lines", "what is critical", "a sentence", "not ASCII"],
)
def test_its_last_words_are_what_tells_why_it_ended(settings: Settings, log: Path, written: str, words: str) -> None:
    log.write_text(written)
    assert LocalWorkers(settings, log).last_words() == words
