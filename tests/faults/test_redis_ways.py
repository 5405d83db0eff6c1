"""Whole runs over the ways in which Redis is reached; and no password in what Celery tells of them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.faults.farm import wait_for_end
from tests.redis_servers import Authority, behind_tls, free_port, server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.command import Nightlabel

IMAGES = 8
HIDDEN = "s3cr3t"


@contextmanager
def _over_tls(folder: Path) -> Iterator[str]:
    authority = Authority(folder / "authority")
    certificate, key = authority.sign("worker")
    with server(folder) as port, behind_tls(port, authority, asks=True) as tls:
        yield (
            f"rediss://127.0.0.1:{tls}/1?ssl_ca_certs={authority.certificate}"
            f"&ssl_certfile={certificate}&ssl_keyfile={key}"
        )


@contextmanager
def _over_a_socket(folder: Path) -> Iterator[str]:
    path = f"/tmp/nl-{free_port()}.sock"  # noqa: S108 - a short one, and the test's own
    with server(folder, f"unixsocket {path}"):
        yield f"unix://{path}?db=2"


@contextmanager
def _over_sentinels(folder: Path) -> Iterator[str]:
    with (
        server(folder, "requirepass a;b", "masterauth a;b") as port,
        server(
            folder,
            f"sentinel monitor night 127.0.0.1 {port} 1",
            "sentinel auth-pass night a;b",
            program="redis-sentinel",
        ) as sentinel,
    ):
        yield f"sentinel://:a;b@127.0.0.1:{sentinel},127.0.0.1:{free_port()}/3?master_name=night"


@pytest.mark.parametrize("way", [_over_tls, _over_a_socket, _over_sentinels])
def test_a_run_ends_well(
    nightlabel: Nightlabel,
    archive: Callable[[int], Path],
    tmp_path: Path,
    way: Callable[[Path], AbstractContextManager[str]],
) -> None:
    with way(tmp_path) as url:
        nightlabel.environment["NIGHTLABEL_BROKER_URL"] = url
        worker = nightlabel.start("worker", "--concurrency", "1")
        followed = nightlabel("enqueue", archive(IMAGES), "--wait")
        status = nightlabel("status")
        worker.terminate()
        errors = wait_for_end(worker)
    assert followed.returncode == 0, followed.stderr
    assert nightlabel.sql("select count(*) from outcomes where status = 'ok'") == [(IMAGES,)]
    assert "Queue: 0 waiting, 0 unacknowledged" in status.stdout
    assert "insecure" not in errors


@pytest.mark.parametrize(
    "url",
    [
        f"redis://anna:{HIDDEN}%2Fx%3B@127.0.0.1:1/0",
        f"rediss://:{HIDDEN};x@127.0.0.1:1/0",
        f"unix://:{HIDDEN}%40x@/nowhere/redis.sock",
        f"sentinel://:{HIDDEN};x@127.0.0.1:1,127.0.0.1:2/0?master_name=night",
    ],
    ids=lambda url: url.partition(":")[0],
)
def test_no_piece_of_a_password_is_in_what_celery_tells(nightlabel: Nightlabel, url: str) -> None:
    nightlabel.environment["NIGHTLABEL_BROKER_URL"] = url
    report = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "report"],
        env=nightlabel.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "broker_url" in report.stdout
    worker = nightlabel.start("worker", "--concurrency", "1")
    assert worker.stderr
    said = ""
    for line in worker.stderr:
        said += line
        if "Trying again" in line:
            break
    worker.terminate()
    said += wait_for_end(worker)
    assert "Cannot connect" in said
    assert HIDDEN not in report.stdout + report.stderr + said
    assert "ConnectionPool" not in said
