"""Three hosts of a network: one is cut off, one has a slow line, one loses its power; nothing is lost, nothing twice.

The hub has Redis, Postgres and the producer. Each host has the share mounted by itself, where the archive is expected.
"""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import redis as redis_client

from broker.private_redis import redis_server_path
from broker.queue import workers
from common.child_process import die_with_parent
from tests.command import LONG_S, wait_until
from tests.conftest import copy_photos, missing
from tests.faults.farm import Farm, Worker, wait_for_end
from tests.network_hosts import Network, network
from tests.servers import PostgresServer, postgres_bin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command import Nightlabel

#: Of each of two runs: eight chunks or so.
IMAGES = 100
CHUNK = "16"
#: Seconds without an outcome after which the producer believes no longer in a host that does not answer.
STALL_S = 6
#: Bits per second of a line on which a chunk takes a second or so.
SLOW = "256kbit"
DATABASE = "night"


@pytest.fixture
def hosts() -> Iterator[Network]:
    with network("b", "c") as made:
        yield made


@pytest.fixture
def farm(hosts: Network, nightlabel: Nightlabel, short_folder: Path) -> Iterator[Farm]:
    """A farm whose Redis and Postgres are on the hub; the test itself reaches both by their sockets."""
    binaries = postgres_bin()
    if binaries is None:
        missing("no Postgres on PATH, in /usr/lib/postgresql, or in a wheel")
    assert binaries
    folder = short_folder / f"hub-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "postgres").mkdir()
    server = PostgresServer(folder / "postgres", binaries, ["-c", f"listen_addresses={hosts.hub}"])
    server.let_in("10.99.0.0/24")
    server.start(hosts.within("hub"))
    try:
        with running_redis(hosts, folder) as url:
            nightlabel.environment |= {
                "NIGHTLABEL_PRECISION": "fp32",
                "NIGHTLABEL_CHUNK_SIZE": CHUNK,
            }
            yield Farm(nightlabel, server.create_database(DATABASE), url)
    finally:
        server.stop()


@contextmanager
def running_redis(hosts: Network, folder: Path) -> Iterator[str]:
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [*hosts.within("hub"), redis_server_path(), "--bind", hosts.hub, "--protected-mode", "no",
         "--unixsocket", socket, "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL,
        preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - one system call
    )  # fmt: skip
    try:
        with redis_client.Redis(unix_socket_path=str(socket)) as client:
            wait_until(lambda: (socket.exists() and client.ping()) or None)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait()


class Hosts:
    """Starts what runs on each host of the network, over one share, which each of them mounts at one path."""

    def __init__(self, farm: Farm, network: Network, share: Path) -> None:
        self._farm = farm
        self._network = network
        self._archive = share.with_name("archive")
        self._mounted = {share: self._archive}
        self._environment = {
            "NIGHTLABEL_BROKER_URL": f"redis://{network.hub}:6379/0",
            "NIGHTLABEL_DATABASE_URL": f"postgresql://nightlabel@{network.hub}/{DATABASE}",
        }

    def follow(self, folder: str) -> subprocess.Popen[str]:
        """Start the producer of a folder of the archive, on the hub."""
        limits = {"NIGHTLABEL_STALL_S": str(STALL_S), "NIGHTLABEL_TIME_LIMIT_S": "4"}
        environment = self._environment | limits
        within = self._network.within("hub", self._mounted)
        return self._farm.nightlabel.start("enqueue", self._archive / folder, "--wait", within=within, **environment)

    def probe(self, host: str) -> subprocess.Popen[str]:
        """Ask on a host whether a worker of it answers."""
        within = self._network.within(host)
        return self._farm.nightlabel.start("status", "--check-worker", within=within, **self._environment)

    def start_worker(self, host: str) -> Worker:
        """Start a worker on a host. It stands still when it is told to."""
        self._faults(host).mkdir()
        environment = self._environment | {"FAULT": "stand-still", "FAULTS": str(self._faults(host))}
        within = self._network.within(host, self._mounted)
        process = self._farm.nightlabel.start("worker", "--concurrency", 1, within=within, **environment)
        return Worker(process, self._farm)

    def plant(self, host: str) -> None:
        """Have the host's worker stand still over its next chunk."""
        (self._faults(host) / "stand-still").touch()

    def wait_until_still(self, host: str) -> int:
        """Wait until it does; return the chunk's number."""
        wait_until(lambda: not (self._faults(host) / "stand-still").exists() or None, LONG_S)
        begun = f"select id from chunks where done_at is null and worker like '{host}%'"
        ((chunk,),) = self._farm.ask(begun)
        return int(chunk)

    def go_on(self, host: str) -> None:
        (self._faults(host) / "go-on").touch()

    def _faults(self, host: str) -> Path:
        return self._farm.faults / host


def stored_by(farm: Farm, host: str, run: int) -> int:
    return farm.count(f"outcomes where worker like '{host}%' and run_id = {run}")


def answers(farm: Farm, host: str) -> bool:
    return any(name.partition("@")[2].startswith(host) for name in workers(farm.app()))


def recovered_s(farm: Farm, lost: int, run: int) -> float:
    """Return the seconds from the last outcome of the run's other chunks to the last one of the chunk that was lost."""
    newest = f"select extract(epoch from max(labelled_at)) from outcomes where run_id = {run} and chunk_id"
    ((last,),) = farm.ask(f"{newest} = {lost}")
    ((others,),) = farm.ask(f"{newest} <> {lost}")
    return float(last - others)


@pytest.mark.long
@pytest.mark.usefixtures("resnet18")  # so that nobody has to prepare it
def test_a_host_that_is_cut_off_one_on_a_slow_line_and_one_without_power_lose_and_double_nothing(
    farm: Farm, hosts: Network, photos: Path, tmp_path: Path
) -> None:
    share = tmp_path / "share"
    copy_photos(photos, tmp_path / "made", 2 * IMAGES)
    for number, photo in enumerate(sorted((tmp_path / "made").rglob("*.jpg"))):
        target = share / ("first" if number < IMAGES else "second") / photo.name
        target.parent.mkdir(parents=True, exist_ok=True)
        photo.rename(target)
    on = Hosts(farm, hosts, share)
    hosts.slow("c", SLOW)

    b = on.start_worker("b")
    on.plant("b")
    producer = on.follow("first")
    lost = on.wait_until_still("b")
    c = on.start_worker("c")
    hosts.cut("b")
    cut = time.monotonic()
    wait_until(lambda: stored_by(farm, "c", run=1) or None, LONG_S)
    probes = {host: on.probe(host) for host in ("c", "hub")}
    wait_for_end(producer)
    assert {host: probe.wait(LONG_S) for host, probe in probes.items()} == {"c": 0, "hub": 7}

    assert hosts.waited("c") > 0
    assert farm.ask(f"select count(*) from outcomes where chunk_id = {lost} and worker like 'b%'") == [(0,)]
    stored = farm.stored()
    assert len(stored) == IMAGES
    said = [f"cut off: its chunk was labelled elsewhere {recovered_s(farm, lost, 1):.1f} s after all others"]

    hosts.heal("b")
    healed = time.monotonic()
    on.go_on("b")
    wait_until(lambda: answers(farm, "b") or None, LONG_S)
    said.append(f"back after {healed - cut:.0f} s: it answers again {time.monotonic() - healed:.1f} s later")

    on.plant("c")
    producer = on.follow("second")
    lost = on.wait_until_still("c")
    hosts.cut("c")  # before its processes go: the kernel of a host without power closes no connection
    c.kill()
    wait_for_end(producer)

    assert stored_by(farm, "b", run=2) > 0
    assert [row for row in farm.stored() if row in stored] == stored
    assert farm.ask(f"select count(*) from outcomes where chunk_id = {lost} and worker like 'c%'") == [(0,)]
    said.append(f"without power: its chunk was labelled elsewhere {recovered_s(farm, lost, 2):.1f} s after all others")
    said.append(f"{farm.extra_starts()} chunk retries, 0 lost, 0 double")
    farm.assert_whole(2 * IMAGES, newest_run=IMAGES)
    assert farm.extra_starts() >= 2
    b.stop()
    print("\n".join(said))
