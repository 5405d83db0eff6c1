"""The private Redis: reachable for this user alone, there as long as its parent, and never forgetful."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

import broker.private_redis
from broker.app import make_app
from broker.private_redis import PrivateRedis, redis_server_path
from broker.queue import check_broker, queued_ids
from common.errors import BrokerError
from common.settings import load_settings
from tests.command import wait_until
from tests.unit.broker.queues import IDENTITY, ids, put, raw, settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Starts a server, says its pid, and waits to be killed.
PARENT = """
import sys, time
from pathlib import Path
from broker.private_redis import PrivateRedis
server = PrivateRedis(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(short_folder: Path) -> Path:
    folder = short_folder / uuid.uuid4().hex[:8]
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[PrivateRedis]:
    with PrivateRedis(folder) as server:
        yield server


def kill(server: PrivateRedis) -> None:
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not server.is_running() or None)


def test_it_answers_as_soon_as_it_has_started(server: PrivateRedis) -> None:
    with raw(server) as client:
        assert client.ping()


def test_it_listens_on_no_port(server: PrivateRedis) -> None:
    assert psutil.Process(server.pid).net_connections(kind="inet") == []


def test_only_its_user_may_connect(server: PrivateRedis) -> None:
    socket = Path(server.url.removeprefix("redis+socket://"))
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700


def test_a_full_one_refuses_and_never_drops_a_message(server: PrivateRedis) -> None:
    with raw(server) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_it_ends_with_its_block(folder: Path) -> None:
    with PrivateRedis(folder) as server:
        assert server.is_running()
    assert not server.is_running()


def test_it_keeps_its_messages_when_it_is_killed_and_started_again(server: PrivateRedis) -> None:
    app = make_app(settings_for(server), IDENTITY)
    put(app, 1, 2)
    kill(server)
    server.start()
    assert queued_ids(app) == ids("1.1", "2.1")


def test_it_dies_with_its_parent_however_that_ends(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        server = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE or None)


def test_stopping_one_that_never_started_is_no_error(folder: Path) -> None:
    PrivateRedis(folder).stop()


def put_on_path(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install another `redis-server`."""
    server = folder / "redis-server"
    server.write_text(f"#!/bin/sh\n{script}\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return server


def test_one_that_ends_at_once_says_what_redis_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path, "echo 'Bad directive' >&2; exit 1", monkeypatch)
    with pytest.raises(BrokerError, match=r"ended with status 1\. It said: Bad directive"):
        PrivateRedis(folder).start()


@pytest.mark.parametrize("content", [b"\x7fELF of another machine", b"#!/no/such/shell\n", b"\0"])
def test_one_that_is_no_program_of_this_machine_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    own = put_on_path(tmp_path, "", monkeypatch)
    own.write_bytes(content)
    with pytest.raises(BrokerError, match=f"{own}, cannot be started"):
        PrivateRedis(folder).start()


def test_one_that_is_killed_while_it_starts_is_said_to_have_been(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path, "kill -9 $$", monkeypatch)
    with pytest.raises(BrokerError, match="was ended by SIGKILL while it started"):
        PrivateRedis(folder).start()


def test_one_that_is_too_old_says_what_it_does_not_know(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path, f"exec {redis_server_path()} \"$@\" --rename-command EVALSHA ''", monkeypatch)
    with PrivateRedis(folder) as server, pytest.raises(BrokerError, match="does not know EVALSHA"):
        check_broker(make_app(load_settings(broker_url=server.url), "of no database"))


def test_a_folder_with_too_long_a_path_for_a_socket_is_named(folder: Path) -> None:
    long = folder / ("x" * 90)
    long.mkdir()
    with pytest.raises(BrokerError, match="Let TMPDIR name a shorter one"):
        PrivateRedis(long).start()


def test_a_folder_that_is_no_more_is_said_in_a_sentence(folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(BrokerError, match="cannot be started: No such file"):
        PrivateRedis(folder).start()


def test_one_that_does_not_listen_in_time_is_not_left_running(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(broker.private_redis, "START_TIMEOUT_S", 0.2)
    server = PrivateRedis(folder)
    with pytest.raises(BrokerError):
        server.start()
    running = server.is_running()
    server.stop()
    assert not running


def test_the_server_on_the_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = put_on_path(tmp_path, "", monkeypatch)
    assert redis_server_path() == str(own)


def test_without_a_server_on_the_path_the_bundled_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert os.access(redis_server_path(), os.X_OK)
