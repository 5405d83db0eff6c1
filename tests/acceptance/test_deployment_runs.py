"""What Compose and Kubernetes would start, started here: command lines, environment, probes and grace of the files."""

from __future__ import annotations

import signal
import threading
import uuid
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis as redis_client

from broker.private_redis import redis_server_path
from tests.command import LONG_S, wait_until
from tests.conftest import copy_photos, missing
from tests.deployment import Container, Processes, compose_services, kubernetes_container
from tests.redis_servers import free_port
from tests.servers import PostgresServer, postgres_bin

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from common.settings import Settings

IMAGES = 30
SECRETS = {"REDIS_PASSWORD": "r3d1s", "POSTGRES_PASSWORD": "p0stgr3s"}
PHOTOS = {"PHOTOS": "/mnt/photos"}
#: What `status --check-worker` ends with where nobody answers, and where nobody can tell.
NOBODY, UNKNOWN = 7, 4
#: Seconds: many times as long as workers are asked when people want to know who is there.
HELD_UP_S = 6.0


def of_kubernetes() -> dict[str, Container]:
    found = {name: kubernetes_container("base", name, SECRETS) for name in ("redis", "postgres", "worker")}
    return found | {"producer": kubernetes_container("once", "night", SECRETS)}


def of_compose() -> dict[str, Container]:
    """Redis, Postgres and a producer on one machine, with passwords; and the worker of another one."""
    hub = compose_services(PHOTOS | SECRETS, "compose.yaml", "reachable.yaml")
    (worker,) = compose_services({"HUB": "hub"} | PHOTOS | SECRETS, "worker.yaml").values()
    return hub | {"worker": worker.at({"hub:6379": "redis:6379", "@hub/": "@postgres/"})}


class Deployment:
    """The containers of a deployment as processes, on folders and ports of this machine instead of theirs."""

    def __init__(self, containers: Mapping[str, Container], started: Processes, places: Mapping[str, str]) -> None:
        self._containers = {name: container.at(places) for name, container in containers.items()}
        self._started = started

    def start(self, name: str, *further: object) -> subprocess.Popen[str]:
        container = self._containers[name]
        program = [] if name == "redis" else ["nightlabel"]
        return self._started.start([*program, *container.arguments, *map(str, further)], container.environment)

    def probes(self) -> dict[str, int]:
        """Return what each probe of the worker ends with; all are started at once."""
        worker = self._containers["worker"]
        running = {kind: self._started.start(probe, worker.environment) for kind, probe in worker.probes.items()}
        return {kind: process.wait(LONG_S) for kind, process in running.items()}

    @property
    def grace_s(self) -> float:
        return self._containers["worker"].grace_s


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Processes]:
    with closing(Processes(tmp_path)) as processes:
        yield processes
    print(processes.log()[-8000:])  # shown where a test failed


@pytest.mark.usefixtures("resnet18")  # so that nobody has to prepare it
@pytest.mark.parametrize(
    "containers",
    [pytest.param(of_kubernetes, id="kubernetes"), pytest.param(of_compose, id="compose", marks=pytest.mark.long)],
)
def test_what_is_deployed_labels_tells_its_probes_and_ends_in_time(
    containers: Callable[[], Mapping[str, Container]],
    started: Processes,
    tmp_path: Path,
    photos: Path,
    settings: Settings,
    short_folder: Path,
) -> None:
    copy_photos(photos, tmp_path / "photos", IMAGES)
    found = containers()
    port = free_port()
    with running_postgres(short_folder, found["postgres"]) as url:
        places = {
            "redis:6379": f"127.0.0.1:{port}",
            "@postgres/nightlabel": f"@{url.partition('@')[2]}",
            "redis-server": str(redis_server_path()),
            "/models": str(settings.cache_dir),
            "/weights": str(settings.weights_dir),
            "/photos": str(tmp_path / "photos"),
        }
        deployed = Deployment(found, started, places)
        queue = deployed.start("redis", "--port", port, "--bind", "127.0.0.1", "--dir", tmp_path)
        wait_until(lambda: is_open(port, SECRETS["REDIS_PASSWORD"]) or None)

        worker = deployed.start("worker")
        assert deployed.start("producer").wait(LONG_S) == 0
        with psycopg.connect(url) as connection:
            rows = connection.execute("select count(*) from results where label_1 is not null").fetchall()
        assert rows == [(IMAGES,)]

        assert set(deployed.probes().values()) == {0}
        with held_up(worker):
            assert set(deployed.probes().values()) == {0}

        worker.terminate()
        assert worker.wait(deployed.grace_s) == 0
        statuses = deployed.probes()
        assert statuses.pop("liveness", 1) == 1  # it is started again
        assert set(statuses.values()) == {NOBODY}

        queue.terminate()
        queue.wait(LONG_S)
        statuses = deployed.probes()
        assert statuses.pop("liveness", 0) == 0  # no worker is at fault, so none is started again
        assert set(statuses.values()) == {UNKNOWN}


@contextmanager
def held_up(worker: subprocess.Popen[str]) -> Iterator[None]:
    """Hold a worker's main process up, as a database that is out of reach does, and let it go on soon."""
    worker.send_signal(signal.SIGSTOP)
    going_on = threading.Timer(HELD_UP_S, worker.send_signal, [signal.SIGCONT])
    going_on.start()
    yield
    going_on.join()


@contextmanager
def running_postgres(folder: Path, container: Container) -> Iterator[str]:
    """Run Postgres as a container has it; yield the URL of the database that its image makes."""
    binaries = postgres_bin()
    if binaries is None:
        missing("no Postgres on PATH, in /usr/lib/postgresql, or in a wheel")
    assert binaries
    folder = folder / f"postgres-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    server = PostgresServer(folder, binaries, container.arguments[1:])
    server.start()
    try:
        yield server.create_database(container.environment["POSTGRES_DB"])
    finally:
        server.stop()


def is_open(port: int, password: str) -> bool:
    """Tell whether a Redis lets in whoever has the password, and nobody else."""
    try:
        with redis_client.Redis(port=port, password=password) as client:
            client.ping()
    except redis_client.ConnectionError:
        return False
    with redis_client.Redis(port=port) as client, pytest.raises(redis_client.AuthenticationError):
        client.ping()
    return True
